/** Languages that `rune plugin new` has a template for. */
export const LANGUAGES = ['bash', 'python', 'perl'] as const;

/** One of LANGUAGES. */
export type Language = (typeof LANGUAGES)[number];

/** What an action may do to a node, as manifests write it. */
export const RISKS = ['read_only', 'low', 'high', 'destructive'] as const;

/** One of RISKS. */
export type RiskName = (typeof RISKS)[number];
