/** How results are written: for people, as one JSON document, or as one JSON value a line. */
export const OUTPUT_FORMATS = ['pretty', 'json', 'ndjson'] as const;

/** One of OUTPUT_FORMATS. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];
