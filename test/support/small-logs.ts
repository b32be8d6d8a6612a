/** Loaded before an agent (`--import`): its logs have the limits that `KEDGE_LOG_LIMITS` says, as JSON, so that a test reaches them with less. */
import { LOG_LIMITS } from '../../agent/log/writer.ts'

Object.assign(LOG_LIMITS, JSON.parse(process.env['KEDGE_LOG_LIMITS'] ?? '{}'))
