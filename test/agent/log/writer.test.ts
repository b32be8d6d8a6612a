import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMask } from '../../../agent/log/mask.ts'
import { createTail } from '../../../agent/log/tail.ts'
import { openLog } from '../../../agent/log/writer.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import { ownFolder } from '../../support/folder.ts'
import { watchDisk } from '../../support/watched-disk.ts'

const { disk } = nodePlatform()
const plain = () => createMask([])
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('what is written lies in the file, and its end names length and hash of just that', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: createMask(['hunter22']), disk })
  await log.write(Buffer.from('a hunt'))
  await log.write(Buffer.from('er22 b'))
  const end = await log.end()
  const stored = await readFile(path)
  expect(stored.toString()).toBe('a *** b')
  expect(end).toEqual({ bytes: 7, sha256: sha256(stored) })
})

test('binary, broken UTF-8 and lines without an end are stored as they came', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: createMask(['hunter22']), disk })
  const chunk = Buffer.from([0, 255, 254, 0xc3, 0x28, 10, 13, 0xe2, 0x82])
  await Promise.all([log.write(chunk), log.write(chunk), log.write(chunk)])
  await log.end()
  expect(await readFile(path)).toEqual(Buffer.concat([chunk, chunk, chunk]))
})

test('what might have become a secret is stored when the log ends, and nothing after it', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: createMask(['hunter22']), disk })
  await log.write(Buffer.from('a hunt'))
  await log.end()
  await expect(log.write(Buffer.from('er22'))).rejects.toThrow('has ended')
  expect((await readFile(path)).toString()).toBe('a hunt')
})

test('a log that has ended is durable, name and all, and no file stays open', async () => {
  const folder = await ownFolder()
  const done: string[] = []
  const noting = async (name: string, act: () => Promise<void>) => {
    await act()
    done.push(name)
  }
  const watched = {
    ...disk,
    append: async (to: string) => {
      const file = await disk.append(to)
      done.push('open')
      return { ...file, sync: () => noting('sync', () => file.sync()), close: () => noting('close', () => file.close()) }
    },
    syncFolder: (of: string) => noting(`sync of ${of === folder ? 'its folder' : of}`, () => disk.syncFolder(of)),
  }
  const log = openLog(join(folder, 'log'), { mask: plain(), disk: watched })
  await log.write(Buffer.from('hello'))
  await log.end()
  await log.harden() // costs nothing any more
  expect(done).toEqual(['open', 'sync', 'sync of its folder', 'close'])
})

test('one that a disk in trouble did not let become durable becomes so later, and no file stays open', async () => {
  const folder = await ownFolder()
  let isFailing = true
  let open = 0
  const trouble = async () => {
    if (isFailing) throw new Error('EIO')
  }
  const failing = {
    ...disk,
    append: async (to: string) => {
      const file = await disk.append(to)
      open += 1
      return { ...file, sync: () => trouble().then(() => file.sync()), close: () => file.close().finally(() => (open -= 1)) }
    },
  }
  const log = openLog(join(folder, 'log'), { mask: plain(), disk: failing })
  await log.write(Buffer.from('hello'))
  expect(await log.end()).toEqual({ bytes: 5, sha256: sha256(Buffer.from('hello')) })
  await expect(log.harden()).rejects.toThrow('EIO')
  isFailing = false
  await log.harden()
  expect(open).toBe(0)
})

test('what is written at once is stored in the order of the calls, however long the disk takes', async () => {
  const path = join(await ownFolder(), 'log')
  let opened = 0
  const slow = {
    ...disk,
    append: async (to: string) => {
      if ((opened += 1) === 1) for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve))
      return await disk.append(to)
    },
  }
  const log = openLog(path, { mask: plain(), disk: slow })
  await Promise.all(['one ', 'two ', 'three'].map((text) => log.write(Buffer.from(text))))
  await log.end()
  expect((await readFile(path)).toString()).toBe('one two three')
  expect(opened).toBe(1)
})

test('a silent job makes no file and costs the disk nothing', async () => {
  const watched = watchDisk(disk)
  const log = openLog(join(await ownFolder(), 'log'), { mask: plain(), disk: watched })
  await log.write(new Uint8Array())
  expect(await log.end()).toEqual({ bytes: 0, sha256: sha256(new Uint8Array()) })
  await log.harden()
  expect(watched.done).toEqual([])
})

test('each growth is told with the length that the file then has', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: plain(), disk })
  const told: number[] = []
  log.onGrowth((bytes) => told.push(bytes))
  await log.write(Buffer.from('abc'))
  await log.write(Buffer.from('de'))
  await log.end()
  expect(told).toEqual([3, 5])
})

test('beyond the limit: head, a line that says how much is missing, and the last bytes; the head is never rewritten [D41]', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: plain(), disk, limits: { limitBytes: 10, tailBytes: 4 } })
  await log.write(Buffer.from('0123456789abcdefgh'))
  expect((await readFile(path)).toString()).toBe('0123456789')
  await log.write(Buffer.from('ij'))
  const end = await log.end()
  const stored = await readFile(path)
  expect(stored.toString()).toBe('0123456789\n[kedge: 6 bytes are left out here: the log is longer than 10 bytes. Its last 4 bytes follow.]\nghij')
  expect(end).toEqual({ bytes: stored.byteLength, sha256: sha256(stored) })
})

test('when the disk fails within the last bytes, its end names what the disk took [D33]', async () => {
  const path = join(await ownFolder(), 'log')
  const failing = {
    ...disk,
    append: async (to: string) => {
      const file = await disk.append(to)
      return {
        ...file,
        write: async (bytes: Uint8Array) => {
          await file.write(bytes.subarray(0, 10))
          if (bytes.byteLength > 10) throw new Error('ENOSPC')
        },
        close: async () => {
          await file.close()
          throw new Error('ENOSPC') // of the earlier write, told once more
        },
      }
    },
  }
  const log = openLog(path, { mask: plain(), disk: failing, limits: { limitBytes: 10, tailBytes: 4 } })
  await log.write(Buffer.from('0123456789'))
  await log.write(Buffer.from('abcdefgh'))
  const end = await log.end()
  const stored = await readFile(path)
  expect(stored.byteLength).toBe(20) // a piece of the marker
  expect(end).toEqual({ bytes: 20, sha256: sha256(stored) })
})

test('a log that is longer by less than the tail is whole and bears no marker', async () => {
  const path = join(await ownFolder(), 'log')
  const log = openLog(path, { mask: plain(), disk, limits: { limitBytes: 10, tailBytes: 4 } })
  await log.write(Buffer.from('0123456789abcd'))
  await log.end()
  expect((await readFile(path)).toString()).toBe('0123456789abcd')
})

test('one line of a gibibyte passes in flat memory', async () => {
  let bytes = 0
  const sink = { ...disk, append: async () => ({ write: async (chunk: Uint8Array) => void (bytes += chunk.byteLength), sync: async () => undefined, close: async () => undefined }) }
  const log = openLog('/nowhere/log', { mask: createMask(['hunter22-correct-horse']), disk: sink, limits: { limitBytes: 2 ** 30, tailBytes: 2 ** 24 } })
  const chunk = Buffer.alloc(2 ** 22, 'x')
  const before = process.memoryUsage().rss
  let most = before
  for (let at = 0; at < 270; at += 1) {
    await log.write(chunk)
    most = Math.max(most, process.memoryUsage().rss)
  }
  await log.end()
  expect(bytes).toBeGreaterThan(2 ** 30 + 2 ** 24)
  expect(most - before).toBeLessThan(200 * 2 ** 20)
})

test('a disk that fills up: the write rejects, nothing follows it, and the end tells what is really there [D33]', async () => {
  const path = join(await ownFolder(), 'log')
  const watched = watchDisk(disk)
  const log = openLog(path, { mask: plain(), disk: watched })
  await log.write(Buffer.from('kept'))
  watched.refuse = (verb) => (verb === 'append' ? 'ENOSPC' : null)
  await expect(log.write(Buffer.from('lost'))).rejects.toMatchObject({ code: 'ENOSPC' })
  watched.refuse = () => null
  await expect(log.write(Buffer.from('late'))).rejects.toMatchObject({ code: 'ENOSPC' })
  expect(await log.end()).toEqual({ bytes: 4, sha256: sha256(Buffer.from('kept')) })
})

test('a log that a disk in trouble did not make durable at its end is made so before its result is, its name included [D33]', async () => {
  const path = join(await ownFolder(), 'log')
  const watched = watchDisk(disk)
  let syncs = 0
  const syncing = { ...watched, append: async (at: string) => {
    const file = await watched.append(at)
    return { ...file, sync: () => file.sync().then(() => void (syncs += 1)) }
  } }
  const log = openLog(path, { mask: plain(), disk: syncing })
  await log.write(Buffer.from('kept'))
  watched.refuse = (verb) => (verb === 'syncFolder' ? 'EROFS' : null)
  expect(await log.end()).toEqual({ bytes: 4, sha256: sha256(Buffer.from('kept')) })
  await expect(log.harden()).rejects.toMatchObject({ code: 'EROFS' })
  watched.refuse = () => null
  syncs = 0
  await log.harden()
  expect(syncs).toBe(1)
  expect(watched.done.at(-1)).toMatch(/^syncFolder /)
  await log.harden()
  expect(syncs).toBe(1)
})

test('the tail is the end of whatever went in, however it was cut', () => {
  fc.assert(
    fc.property(fc.nat(20), fc.array(fc.uint8Array({ maxLength: 30 })), (capacity, chunks) => {
      const tail = createTail(capacity)
      for (const chunk of chunks) tail.push(chunk)
      const all = Buffer.concat(chunks)
      const { dropped, pieces } = tail.take()
      expect(Buffer.concat(pieces)).toEqual(all.subarray(Math.max(0, all.byteLength - capacity)))
      expect(dropped).toBe(Math.max(0, all.byteLength - capacity))
    }),
  )
})
