/** The process around a command, made up: nothing is piped in, and nobody hears what is said. */
import type { Surroundings } from '../../agent/cli/output.ts'

export function surroundings(given: Partial<Surroundings> = {}): Surroundings {
  return {
    environment: {}, folder: '/nowhere', home: '/home/ada', os: 'linux', self: ['node'],
    input: { isPiped: () => false, read: () => new Uint8Array() },
    print: () => {}, note: () => {}, excerpt: () => {}, write: () => {}, onStop: () => {}, onParent: () => {}, exit: () => {},
    ...given,
  }
}
