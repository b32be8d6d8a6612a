/**
 * The wire cannot change by accident. When this fails, decide: may an agent and a coordinator of the last version still
 * talk to each other? An added optional field: yes, write the new hash down. Anything else: a new protocol number.
 */
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { logReply, sealReply, sealRequest } from '../../schema/attempt.ts'
import { PROTOCOL, REFUSALS, refusalBody } from '../../schema/refusal.ts'
import { attemptResult, jobSpec, protoReply, registerReply, registerRequest, syncReply, syncRequest } from '../../schema/sync.ts'

const messages = { attemptResult, jobSpec, logReply, protoReply, refusalBody, registerReply, registerRequest, sealReply, sealRequest, syncReply, syncRequest }

it('is the wire of protocol 1', () => {
  const shapes = Object.entries(messages).map(([name, schema]) => [name, z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' })])
  const hash = createHash('sha256').update(JSON.stringify([shapes, REFUSALS])).digest('hex').slice(0, 16)
  expect({ proto: PROTOCOL, hash }).toEqual({ proto: { min: 1, max: 1 }, hash: '9775a88d5e072b23' })
})
