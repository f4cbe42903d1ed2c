/** One instruction of a Dockerfile, its continuation lines joined. */
export interface DockerInstruction {
  /** The name after AS, or the number of the stage. */
  readonly stage: string;
  /** In capitals: FROM, COPY, RUN. */
  readonly name: string;
  /** What follows, with single spaces where lines were joined. */
  readonly text: string;
}

/** Reads the instructions of a Dockerfile: as much of its syntax as ours use. */
export function readDockerfile(text: string): DockerInstruction[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  let stage = '';
  let stages = 0;
  return lines.map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      stage = / AS (\S+)$/.exec(rest)?.[1] ?? String(stages);
      stages += 1;
    }
    return { stage, name, text: rest };
  });
}

/** What a COPY copies where: the stage it comes from (undefined for the build context), sources and destination. */
export function readCopy({ text }: DockerInstruction): {
  from: string | undefined;
  sources: string[];
  destination: string;
} {
  const words = text.split(' ');
  const from = words[0]?.startsWith('--from=') === true ? words.shift()?.slice('--from='.length) : undefined;
  const destination = words.pop() ?? '';
  return { from, sources: words, destination };
}
