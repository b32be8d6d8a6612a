import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'

function simulate(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', new URL('main.ts', import.meta.url).pathname, ...words], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

it.each([
  [['--profile', 'netwrok'], 'there is no profile "netwrok"; did you mean "network"? There are: mixed,'],
  [['--seed', 'first'], '--seed must be a whole number from 1 on, such as --seed 4711; not "first"'],
  [['--sedes', '5'], 'did you mean --seeds?'],
  [['--mutations', 'no fance'], 'no mutant is named like "no fance"; did you mean "no fence"?'],
  [['network'], '"network" is no option'],
])('%j is refused with a sentence', (words, sentence) => {
  const { status, stderr } = simulate(...words)
  expect(status).toBe(2)
  expect(stderr).toContain(sentence)
})

it('replays one seed, as a story or as JSON', () => {
  const story = simulate('--seed', '7', '--profile', 'calm', '--trace')
  expect(story.status).toBe(0)
  expect(story.stdout).toContain('→ sync 1/1')
  expect(JSON.parse(simulate('--seed', '7', '--profile', 'calm', '--json').stdout)).toMatchObject({ seed: 7, profile: 'calm', violations: [] })
})
