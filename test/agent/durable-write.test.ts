import { expect, test } from 'vitest'
import { durable } from '../../agent/durable-write.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Files } from '../../agent/platform.ts'

const BYTES = new Uint8Array([1])

/** The steps of a durable write, and one of them that fails. */
async function write(failing: 'writeSynced' | 'rename' | 'syncFolder' | 'remove' | null, and: typeof failing = null) {
  const done: string[] = []
  const step = (name: NonNullable<typeof failing>) => async (...paths: readonly unknown[]) => {
    done.push(`${name} ${paths.filter((path) => typeof path === 'string').join(' ')}`)
    if (name === failing || name === and) throw new Error(`${name} failed`)
  }
  const files: Files = { ...nodePlatform().disk, writeSynced: step('writeSynced'), rename: step('rename'), syncFolder: step('syncFolder'), remove: step('remove') }
  const error = await durable(files).writeDurably('/state/result', BYTES).then(() => null, (thrown: unknown) => String(thrown))
  return { done, error }
}

test('the bytes are durable before they get their name, and the name before anybody is told', async () => {
  expect(await write(null)).toEqual({ done: ['writeSynced /state/result.tmp', 'rename /state/result.tmp /state/result', 'syncFolder /state'], error: null })
})

test.each(['writeSynced', 'rename', 'syncFolder'] as const)('what failed at %s is not said to be durable', async (step) => {
  expect((await write(step)).error).toBe(`Error: ${step} failed`)
})

test.each(['writeSynced', 'rename'] as const)('what failed at %s leaves no piece of itself where the disk lets it go, and is the error that is told', async (step) => {
  for (const { done, error } of [await write(step), await write(step, 'remove')]) {
    expect(done.at(-1)).toBe('remove /state/result.tmp')
    expect(error).toBe(`Error: ${step} failed`)
  }
})
