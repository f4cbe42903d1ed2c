/** A text with fields of an instance in braces, such as `{tag:Name}-{id}`. */
export interface Template {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
}

/** A piece of a template: words as they are, or the name of a field. */
type TemplatePart = { readonly words: string } | { readonly field: string };

const PART = /\{([^{}]*)\}|([^{}]+)|([{}])/g;

/** Reads a template; answers what is wrong with it as a text. `isField` tells which fields there are, `fields` names them. */
export function readTemplate(
  text: string,
  isField: (name: string) => boolean,
  fields: string,
): Template | string {
  const parts: TemplatePart[] = [];
  for (const [, field, words, brace] of text.matchAll(PART)) {
    if (brace !== undefined) return 'has a brace without its other one';
    if (words !== undefined) parts.push({ words });
    else if (field !== undefined && isField(field)) parts.push({ field });
    else return `uses {${field}}: there is ${fields}`;
  }
  return { text, parts };
}

/** The text for these fields; undefined if one that it uses is missing or empty. */
export function fillTemplate({ parts }: Template, fields: ReadonlyMap<string, string>): string | undefined {
  let text = '';
  for (const part of parts) {
    const piece = 'words' in part ? part.words : fields.get(part.field);
    if (piece === undefined || piece === '') return undefined;
    text += piece;
  }
  return text;
}
