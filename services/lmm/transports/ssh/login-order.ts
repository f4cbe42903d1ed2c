import type { AuthWay } from './auth-ways.js';

/** The ways of a credential in their order, each once, without those that the node does not offer. */
export interface LoginOrder {
  /** The next way to try; `offered` is what the node has said that it accepts, undefined before it did. */
  next(offered: readonly string[] | undefined): AuthWay | undefined;
  /** Labels of what was tried so far. */
  tried(): readonly string[];
}

/** Starts at the first way. */
export function createLoginOrder(ways: readonly AuthWay[]): LoginOrder {
  const left = [...ways];
  const tried: AuthWay[] = [];
  return {
    next(offered) {
      for (let way = left.shift(); way !== undefined; way = left.shift()) {
        if (offered !== undefined && !offered.includes(way.needs)) continue;
        // The same password again would be a second try.
        if (isPassword(way) && offered?.includes('password') === true && tried.some(isPassword)) continue;
        tried.push(way);
        return way;
      }
      return undefined;
    },
    tried: () => tried.map((way) => way.label),
  };
}

const isPassword = (way: AuthWay): boolean => way.needs !== 'publickey';
