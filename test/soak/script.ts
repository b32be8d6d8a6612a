/**
 * What a job does, as its command. It is honest shell, so any agent could run it; a protocol-true agent reads the same
 * text and only waits. What a job must come to can be read from it too: no list of a hundred thousand is kept.
 */
import type { Dice } from '../simulation/chance.ts'

export interface JobScript {
  readonly seconds: number
  /** Lines that it prints, before it waits. */
  readonly lines: number
  readonly exitStatus: number
}

const FAILS_ONE_IN = 25
const LINES = 200

export function drawScript(dice: Dice, [least, most]: readonly [number, number], printsOneIn: number): JobScript {
  return { seconds: Number((least + (most - least) * dice.next() ** 2).toFixed(1)), lines: dice.chance(1 / printsOneIn) ? LINES : 0, exitStatus: dice.chance(1 / FAILS_ONE_IN) ? dice.whole(1, 9) : 0 }
}

/** `note`: a file that gets the attempt's id as the command begins. */
export function commandOf({ seconds, lines, exitStatus }: JobScript, note: string | null = null): string {
  return [...(note === null ? [] : [`echo "$KEDGE_ATTEMPT" >> '${note}'`]), ...(lines === 0 ? [] : [`seq ${lines}`]), ...(seconds === 0 ? ['true'] : [`sleep ${seconds}`]), `exit ${exitStatus}`].join('; ')
}

export function readCommand(command: string): JobScript {
  const match = /(?:seq (\d+); )?(?:true|sleep ([\d.]+)); exit (\d)$/.exec(command)
  if (match === null) throw new Error(`"${command}" is no command of a soak`)
  return { seconds: Number(match[2] ?? 0), lines: Number(match[1] ?? 0), exitStatus: Number(match[3]) }
}

/** All that the command prints. */
export function outputOf({ lines }: JobScript): string {
  return Array.from({ length: lines }, (_, at) => `${at + 1}\n`).join('')
}
