import { existsSync, writeSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { openOutputPipe } from '../../../agent/runner/output-pipe.ts'
import { turnedClock } from '../../support/turned-clock.ts'

/** A pipe of which somebody holds the end that is written to, and never lets go. */
function heldPipe() {
  const pipe = openOutputPipe()
  let isClosed = false
  const close = () => {
    if (!isClosed) pipe.closeWriteEnd()
    isClosed = true
  }
  onTestFinished(close)
  const write = (text: string) => writeSync(pipe.writeEnd, text)
  return { pipe, clock: turnedClock(), write, close }
}

test('all that was printed is handed on, and the pipe has no name that anybody could open', async () => {
  const { pipe, write, close } = heldPipe()
  let printed = ''
  write('one\n')
  const read = pipe.read(async (chunk) => void (printed += String(chunk)))
  write('two\n')
  close()
  await read
  expect([printed, existsSync(pipe.path)]).toEqual(['one\ntwo\n', false])
})

test('once the command is over, whoever still holds its output is waited for five seconds and no longer', async () => {
  const { pipe, clock, write } = heldPipe()
  let printed = ''
  let isRead = false
  const read = pipe.read(async (chunk) => void (printed += String(chunk))).then(() => (isRead = true))
  write('last words')
  pipe.lastBytes(clock)
  await clock.turn(4800)
  expect(isRead).toBe(false)
  await clock.turn(200)
  await read
  await clock.turn(100)
  expect([printed, clock.waiting()]).toEqual(['last words', 0])
})

test('a command that leaves nobody at its output is waited for no moment longer', async () => {
  const { pipe, clock, close } = heldPipe()
  const read = pipe.read(async () => undefined)
  pipe.lastBytes(clock)
  close()
  await read
  await clock.turn(100)
  expect(clock.waiting()).toBe(0)
})

test('whoever still holds the output of a command that is over does not print without end', async () => {
  const { pipe, clock, write } = heldPipe()
  let bytes = 0
  const read = pipe.read(async (chunk) => {
    bytes += chunk.byteLength
    if (bytes < 2 ** 22) write('x'.repeat(60_000)) // there is room again
  })
  pipe.lastBytes(clock)
  write('x')
  await read
  expect(bytes).toBeGreaterThanOrEqual(2 ** 20)
  expect(bytes).toBeLessThan(2 ** 21)
})

test('time in which the output is slow to be taken is not the holder\'s', async () => {
  const { pipe, clock, write } = heldPipe()
  const taking = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  let isRead = false
  const read = pipe.read(() => (taken.resolve(), taking.promise)).then(() => (isRead = true))
  write('much')
  await taken.promise
  pipe.lastBytes(clock)
  await clock.turn(60_000)
  expect(isRead).toBe(false)
  taking.resolve()
  await clock.turn(5000)
  await read
})

test('an output that fails is told of', async () => {
  const { pipe, write } = heldPipe()
  write('a line')
  await expect(pipe.read(() => Promise.reject(new Error('ENOSPC')))).rejects.toThrow('ENOSPC')
})
