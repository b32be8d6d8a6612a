/** WebSocket frames as their bytes, right and wrong: what `ws` would never send, and what an honest end would never get. */
import fc from 'fast-check'
import { RING } from '../../schema/sync.ts'

interface Frame {
  readonly opcode: number
  readonly payload: Buffer
  readonly isFinal?: boolean
  /** As clients must and servers must not. */
  readonly isMasked?: boolean
  /** Said instead of the payload's own. */
  readonly length?: number | bigint
  /** Bits that no extension was agreed on for. */
  readonly reserved?: number
}

export function frameBytes({ opcode, payload, isFinal = true, isMasked = false, length = payload.byteLength, reserved = 0 }: Frame): Buffer {
  const first = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode
  const mask = isMasked ? 0x80 : 0
  const head =
    length < 126
      ? Buffer.from([first, mask | Number(length)])
      : length < 65_536
        ? Buffer.from([first, mask | 126, Number(length) >> 8, Number(length) & 0xff])
        : Buffer.concat([Buffer.from([first, mask | 127]), bigBytes(BigInt(length))])
  return isMasked ? Buffer.concat([head, Buffer.alloc(4), payload]) : Buffer.concat([head, payload]) // a mask of zeros changes nothing
}

function bigBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

const payload = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(RING, '', '{', '{"t":"ring"} ', '{"t":"stop"}', '"ring"', 'null').map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 130 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom(65_535, 65_536, 200_000, 1_100_000).map((size) => Buffer.alloc(size, 'x')) },
)

/** What is sent on one connection. `isMasked`: by a client. */
export function hostileStream(isMasked: boolean): fc.Arbitrary<Buffer> {
  const frame = fc.record({ opcode: fc.oneof(fc.constantFrom(0, 1, 1, 2, 8, 9, 10), fc.nat(15)), payload, isFinal: fc.oneof(fc.constant(true), fc.boolean()), isMasked: fc.oneof({ weight: 5, arbitrary: fc.constant(isMasked) }, { weight: 1, arbitrary: fc.constant(!isMasked) }) })
  const some = fc.oneof(
    { weight: 4, arbitrary: fc.array(frame, { minLength: 1, maxLength: 6 }).map((frames) => Buffer.concat(frames.map(frameBytes))) },
    { weight: 1, arbitrary: fc.tuple(frame, fc.constantFrom<number | bigint>(0, 5, 125, 70_000, 2n ** 62n, 2n ** 63n)).map(([one, length]) => frameBytes({ ...one, length })) },
    { weight: 1, arbitrary: fc.tuple(frame, fc.integer({ min: 1, max: 7 })).map(([one, reserved]) => frameBytes({ ...one, reserved })) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom(1, 2, 9), fc.constantFrom(RING, 'x')).map(([opcode, text]) => Buffer.concat(Array.from({ length: 1000 }, () => frameBytes({ opcode, payload: Buffer.from(text), isMasked })))) },
  )
  return fc.array(some, { minLength: 1, maxLength: 3 }).map((all) => Buffer.concat(all))
}
