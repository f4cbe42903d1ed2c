#!/usr/bin/env perl
# Greets somebody. Needs Perl 5.14 or newer with its core modules and nothing else on the node.
use strict;
use warnings;
use JSON::PP ();

my $json = JSON::PP->new->ascii;

# One structured line for the mediator, on standard error.
sub tell_mediator {
    my ($record) = @_;
    print STDERR "\x1eRUNE ", $json->encode($record), "\n";
}

sub write_log {
    my ($level, $message) = @_;
    tell_mediator({ type => 'log', level => $level, message => $message });
}

sub progress {
    my ($percent, $message) = @_;
    tell_mediator({ type => 'progress', percent => $percent, message => $message });
}

# A failure of the action; the code says of what kind (docs/plugins.md of RUNE).
sub fail {
    my ($code, $message, %details) = @_;
    die { code => $code, message => $message, details => \%details };
}

# Does the work and returns the output, or fails.
sub act {
    my ($parameters, $dry_run) = @_;
    my $name     = $parameters->{name};
    my $greeting = "Hello, $name";
    fail(3, 'There is nobody to greet', name => $name) if $name eq 'nobody';

    # What changes the node stands below this line: a dry run ends here.
    return { greeting => $greeting } if $dry_run;

    write_log('info', "greeting $name");
    progress(50, 'half of the work is done');
    return { greeting => $greeting };
}

my $document = JSON::PP->new->utf8->decode(do { local $/; <STDIN> });
my $payload  = $document->{payload};
my $dry_run  = $payload->{context}{dry_run};
my %answer   = (
    message_metadata => $document->{message_metadata},
    payload          => undef,
    error            => undef,
    observability    => $document->{observability},
);

my $output = eval { act($payload->{input_parameters}, $dry_run) };
if ($output) {
    $answer{payload} = { result => $dry_run ? 'dry_run' : 'success', output_data => $output };
}
elsif (ref $@ eq 'HASH') {
    $answer{error} = $@;
}
else {
    # Whatever it is, the answer must say so.
    $answer{error} = { code => 100, message => "The plugin met a fault: $@", details => {} };
}

# Standard output holds this one object and nothing else.
print $json->encode(\%answer), "\n";
exit($answer{error} ? $answer{error}{code} : 0);
