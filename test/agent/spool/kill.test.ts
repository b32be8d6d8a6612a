import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ownFolder } from '../../support/folder.ts'

const PROGRAM = join(import.meta.dirname, '../../support/spooling-process.ts')

/** Runs the program until it has printed so many lines after `open`, kills it with SIGKILL, and gives back all it said. */
async function live(folder: string, first: number, lines: number): Promise<string[][]> {
  const child = spawn(process.execPath, [PROGRAM, folder, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: string[][] = []
  let left: number | null = null
  const ended = new Promise((resolve) => child.on('close', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line.split(' '))
    if (line === 'open') left = lines
    else if (left !== null && --left <= 0) child.kill('SIGKILL')
  }
  await ended
  return said
}

test('kill -9 at any instant loses no finished result, sends no settled one again, and starts nothing twice [D8, I5]', async () => {
  const folder = await ownFolder()
  const promised = new Map<string, string>()
  const maybeSettled = new Set<string>()
  const settled = new Set<string>()
  const journalled = new Set<string>()
  let first = 1
  for (const lines of [1, 5, 13, 2, 34, 21, 8, 55, 3, 0]) {
    const said = await live(folder, first, lines)
    const opened = said.findIndex(([word]) => word === 'open')
    const replayed = new Map(said.slice(0, opened).flatMap(([word, attempt = '', digest = '']) => (word === 'replayed' ? [[attempt, digest] as const] : [])))
    for (const [attempt, digest] of promised) {
      if (settled.has(attempt)) expect(replayed.has(attempt)).toBe(false)
      else if (!maybeSettled.has(attempt)) expect(replayed.get(attempt)).toBe(digest)
    }
    for (const [word = '', attempt = '', detail = ''] of said.slice(opened + 1)) {
      first = Math.max(first, Number(attempt.split('-')[2]?.split('.')[0] ?? 0) + 1)
      if (word === 'journalling') {
        expect(detail).toBe(journalled.has(attempt) ? 'known' : 'new')
        journalled.add(attempt)
      } else if (word === 'finished') promised.set(attempt, detail)
      else if (word === 'settling') maybeSettled.add(attempt)
      else if (word === 'settled') settled.add(attempt)
    }
    first += 3 // what was journalled without having been said
  }
  expect(promised.size).toBeGreaterThan(20)
}, 120_000)
