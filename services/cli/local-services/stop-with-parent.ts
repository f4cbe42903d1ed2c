// Loaded into a service that the command line starts (node --import): the service ends in good order when the pipe on its
// stdin does, so it cannot outlive the command line, not even one that was killed.
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.resume();
// A service that has nothing else left to do must not wait for its parent.
(process.stdin as Partial<Pick<NodeJS.ReadStream, 'unref'>>).unref?.();
