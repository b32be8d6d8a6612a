/** Whether small disks can be made here. Only Linux and only who may mount; whoever may not hears so, and nothing is skipped in silence. */
import { readFileSync } from 'node:fs'

const CAP_SYS_ADMIN = 21n

export const NO_MOUNTING = 'the tests with full and read-only disks need a Linux where this user may mount (root, or CAP_SYS_ADMIN)'

export function mayMount(): boolean {
  if (process.platform !== 'linux') return false
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return held !== undefined && ((BigInt(`0x${held}`) >> CAP_SYS_ADMIN) & 1n) === 1n
}
