/** A key or an agent of the library that signs in another way. The library recognises its own objects by what they inherit. */
export function withSign<T extends object>(from: T, sign: unknown): T {
  return Object.create(from, { sign: { value: sign } }) as T;
}
