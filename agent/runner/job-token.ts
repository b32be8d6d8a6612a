import { createHmac } from 'node:crypto'

/**
 * What a job may show the coordinator: the claims of its attempt's token, signed with that token's own signature. It opens
 * what jobs may do and not the attempt's log, and the attempt's token cannot be found from it. The coordinator makes the
 * same of the same (`readJob` in coordinator/trust/tokens.ts), so nothing of it travels beforehand.
 */
export function jobTokenOf(attemptToken: string): string {
  const dot = attemptToken.indexOf('.')
  const signed = attemptToken.slice(0, dot < 0 ? undefined : dot).replace(/^kdg_att_/, 'kdg_job_')
  return `${signed}.${createHmac('sha256', attemptToken.slice(dot + 1)).update(signed).digest('base64url')}`
}
