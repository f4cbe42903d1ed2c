import type { FileReading } from '../../shared/files/source-file.js';

/** What a source says, with what there is to know of it in a sentence each; or why it says nothing. */
export type SourceReading = FileReading & { readonly notes?: readonly string[] };
