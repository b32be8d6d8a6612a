import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'

function cost(...words: readonly string[]) {
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', new URL('main.ts', import.meta.url).pathname, ...words], { encoding: 'utf8' })
}

it.each([
  [['--day', 'taem'], 'there is no day "taem"; did you mean "team"? There are: one-agent,'],
  [['--acept'], 'did you mean --accept?'],
  [['team'], '"team" is no option; a day is named by --day team'],
])('%j is refused with a sentence', (words, sentence) => {
  const { status, stderr } = cost(...words)
  expect(status).toBe(2)
  expect(stderr).toContain(sentence)
})

it('says what its days are', () => {
  const { status, stdout } = cost('--help')
  expect(status).toBe(0)
  expect(stdout).toContain('ten-agents      Ten agents, busy for three quarters of the day')
})
