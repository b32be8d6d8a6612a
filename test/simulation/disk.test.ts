import { describe, expect, it } from 'vitest'
import { Dice } from './chance.ts'
import { SimDisk, type DiskUser } from './disk.ts'
import { rest, VirtualTime } from './time.ts'

const SEEDS = Array.from({ length: 60 }, (_, at) => at + 1)
const bytes = (text: string) => new TextEncoder().encode(text)

function alive(): DiskUser {
  const user: DiskUser = { isAlive: true, frozenUntil: 0, diesIn: null, die: () => (user.isAlive = false) }
  return user
}

/** With a folder `/state` that is durable. */
async function fresh(seed = 1) {
  const time = new VirtualTime()
  const gone: string[] = []
  const disk = new SimDisk(time, new Dice(seed, 'disk'), { going: (path) => gone.push(path) })
  const user = alive()
  const own = disk.for(user)
  await own.makeFolder('/state')
  await own.syncFolder('/')
  await own.syncFolder('/state')
  return { time, disk, user, own, gone, text: (path: string) => (disk.contents(path) === null ? null : new TextDecoder().decode(disk.contents(path) ?? undefined)) }
}

type Fresh = Awaited<ReturnType<typeof fresh>>

/** All that may be found after it, over many seeds. */
async function found(act: (own: Fresh) => Promise<void>, look: (own: Fresh) => string | null): Promise<readonly (string | null)[]> {
  const all = new Set<string | null>()
  for (const seed of SEEDS) {
    const one = await fresh(seed)
    await act(one)
    all.add(look(one))
  }
  return [...all].sort()
}

it('has a copy that goes its own way', async () => {
  const [one, other] = [await fresh(), await fresh()]
  const appends = async ({ own }: Fresh, text: string) => {
    const file = await own.append('/state/known')
    await file.write(bytes(text))
    await file.close()
  }
  await appends(one, 'both;')
  other.disk.restore(one.disk.image())
  await appends(one, 'one')
  await appends(other, 'other')
  expect([one.text('/state/known'), other.text('/state/known')]).toEqual(['both;one', 'both;other'])
})

describe('a power failure', () => {
  it('takes nothing that was synced, its name included', async () => {
    const left = await found(async ({ own, disk }) => {
      await own.writeDurably('/state/a', bytes('kept'))
      disk.losePower()
    }, ({ text }) => text('/state/a'))
    expect(left).toEqual(['kept'])
  })

  it('may take what was not, or a part of it', async () => {
    const left = await found(async ({ own, disk }) => {
      await own.write('/state/a', bytes('ab'))
      disk.losePower()
    }, ({ text }) => text('/state/a')?.replaceAll('\0', '0') ?? null)
    expect(left).toEqual(expect.arrayContaining([null, '', 'a', 'ab']))
  })

  it('may take the name of a file whose bytes were synced', async () => {
    const left = await found(async ({ own, disk }) => {
      await own.writeSynced('/state/a', bytes('whole'))
      disk.losePower()
    }, ({ text }) => text('/state/a'))
    expect(left).toEqual([null, 'whole'].sort())
  })

  it('may undo a rename until its folder is synced', async () => {
    const replace = (isSynced: boolean) => async ({ own, disk }: Fresh) => {
      await own.writeDurably('/state/a', bytes('old'))
      await own.writeSynced('/state/a.tmp', bytes('new'))
      await own.rename('/state/a.tmp', '/state/a')
      if (isSynced) await own.syncFolder('/state')
      disk.losePower()
    }
    expect(await found(replace(false), ({ text }) => text('/state/a'))).toEqual(['new', 'old'])
    expect(await found(replace(true), ({ text }) => text('/state/a'))).toEqual(['new'])
  })

  it('leaves what was synced of a file that grew', async () => {
    const left = await found(async ({ own, disk }) => {
      const log = await own.append('/state/log')
      await own.syncFolder('/state')
      await log.write(bytes('synced '))
      await log.sync()
      await log.write(bytes('or not'))
      disk.losePower()
    }, ({ text }) => text('/state/log'))
    expect(left.filter((log) => log?.startsWith('synced ') !== true)).toEqual([])
    expect(left.length).toBeGreaterThan(3)
  })

  it('is the end of it: what is there afterwards survives the next one', async () => {
    for (const seed of SEEDS) {
      const { own, disk } = await fresh(seed)
      await own.write('/state/a', bytes('perhaps'))
      disk.losePower()
      const after = disk.contents('/state/a')
      disk.losePower()
      expect(disk.contents('/state/a')).toEqual(after)
    }
  })
})

describe('a disk in trouble', () => {
  it('takes a part of what does not fit, and the whole when there is room again', async () => {
    const { own, disk, text } = await fresh()
    disk.capacity = 4
    await expect(own.write('/state/a', bytes('too much'))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(text('/state/a')).toBe('too ')
    disk.capacity = Infinity
    await own.write('/state/a', bytes('too much'))
    expect(text('/state/a')).toBe('too much')
  })

  it('is full for what is appended too, and frees what was set aside', async () => {
    const { own, disk, text } = await fresh()
    await own.allocate('/state/reserve', 10)
    disk.capacity = 12
    const log = await own.append('/state/log')
    await expect(log.write(bytes('12345'))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(text('/state/log')).toBe('12')
    await own.remove('/state/reserve')
    await log.write(bytes('345'))
    expect(text('/state/log')).toBe('12345')
  })

  it('refuses every change while it is read-only, and is still read', async () => {
    const { own, disk } = await fresh()
    await own.write('/state/a', bytes('a'))
    disk.isReadOnly = true
    await expect(own.write('/state/a', bytes('b'))).rejects.toMatchObject({ code: 'EROFS' })
    await expect(own.remove('/state/a')).rejects.toMatchObject({ code: 'EROFS' })
    expect(await own.read('/state/a')).toEqual(bytes('a'))
  })

  it('takes its time when it is slow, and never acts for one who died meanwhile', async () => {
    const { own, disk, user, time } = await fresh(3)
    disk.slowness = 1000
    const writes = SEEDS.map((n) => own.write(`/state/${n}`, bytes('x')))
    await rest()
    const before = disk.below('/state').length
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(writes.length)
    await time.run(500, () => false)
    const meanwhile = disk.below('/state').length
    expect(meanwhile).toBeGreaterThan(before)
    user.isAlive = false
    await time.run(5000, () => false)
    expect(disk.below('/state')).toHaveLength(meanwhile)
  })
})

describe('a process that dies at the disk', () => {
  it('leaves nothing of its act, a part of it or the whole, and acts no more', async () => {
    const left = await found(async ({ own, user }) => {
      user.diesIn = 2
      await own.write('/state/first', bytes('first'))
      const dying = own.write('/state/second', bytes('second')).then(() => 'settled')
      await rest()
      expect(user.isAlive).toBe(false)
      expect(await Promise.race([dying, own.write('/state/third', bytes('third')).then(() => 'settled'), rest()])).toBeUndefined()
    }, ({ disk, text }) => {
      expect(text('/state/first')).toBe('first')
      expect(text('/state/third')).toBeNull()
      const second = disk.contents('/state/second')
      return second === null ? 'nothing' : second.byteLength < 'second'.length ? 'a part' : 'the whole'
    })
    expect(left).toEqual(['a part', 'nothing', 'the whole'])
  })
})

describe('an image of a disk', () => {
  it('brings back all that was there, for good, and nothing that came later', async () => {
    const { own, disk, text } = await fresh()
    await own.write('/state/a', bytes('then'))
    const image = disk.image()
    await own.write('/state/a', bytes('later'))
    await own.write('/state/b', bytes('later'))
    disk.restore(image)
    for (let times = 0; times < 10; times += 1) disk.losePower()
    expect([text('/state/a'), text('/state/b')]).toEqual(['then', null])
    await own.write('/state/c', bytes('in the same folder'))
    expect(disk.below('/state')).toEqual(['/state/a', '/state/c'])
  })
})

it('tells of each folder before it goes, removed or renamed away', async () => {
  const { own, gone } = await fresh()
  for (const name of ['one', 'other']) {
    await own.makeFolder(`/state/${name}`)
    await own.write(`/state/${name}/result`, bytes('r'))
  }
  await own.remove('/state/one')
  await own.rename('/state/other', '/state/rejected')
  expect(gone).toEqual(['/state/one', '/state/other'])
})
