/** Whether a transport connects to an SSH server, by whatever program. */
export function isOverSsh(transport: string): boolean {
  return transport === 'ssh' || transport === 'openssh';
}
