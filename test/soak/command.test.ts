import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { Dice } from '../simulation/chance.ts'
import { commandOf, drawScript, outputOf, readCommand } from './script.ts'

it.each([
  [['--agnets', '5'], 'did you mean --agents?'],
  [['--agents', 'many'], '--agents must be a whole number from 1 to 5000; not "many"'],
  [['--minutes', '0'], '--minutes must be a number above 0 and up to 1440; not "0"'],
  [['--seed', 'first'], '--seed must be a whole number, as an earlier soak printed it; not "first"'],
  [['--jobs'], "'--jobs <value>' argument missing"],
  [['quick'], '"quick" is no option; did you mean --quick?'],
])('%j is refused with a sentence', (words, sentence) => {
  const { status, stderr } = spawnSync(process.execPath, [new URL('main.ts', import.meta.url).pathname, ...words], { encoding: 'utf8' })
  expect(stderr).toContain(sentence)
  expect(status).toBe(2)
})

it('what a command is to do can be read from it, and a shell does the same', () => {
  const dice = new Dice(4711, 'scripts')
  for (let times = 0; times < 200; times += 1) {
    const script = drawScript(dice, [0, 60], 3)
    expect(readCommand(commandOf(script))).toEqual(script)
    expect(readCommand(commandOf(script, '/a/note'))).toEqual(script)
  }
  const script = { seconds: 0, lines: 20, exitStatus: 7 }
  const { status, stdout } = spawnSync('/bin/sh', ['-c', commandOf(script, '/dev/stderr')], { encoding: 'utf8', env: { KEDGE_ATTEMPT: 'J1-1-1.1' } })
  expect({ status, stdout }).toEqual({ status: 7, stdout: outputOf(script) })
})
