/**
 * Why nothing came back from an address, for whoever asked there: an agent or a person at the command line. It adds the
 * way out where there is one. Node hides the reason in a chain of causes and calls it by a code.
 */

/** Nothing listens there. */
export const NOBODY = 'connection refused'
export const CLOSED = 'connection closed before the answer was whole'

const SENTENCES: Readonly<Record<string, string>> = {
  ECONNREFUSED: NOBODY,
  ECONNRESET: 'connection reset',
  UND_ERR_SOCKET: CLOSED,
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the name service does not answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is not reachable',
  ETIMEDOUT: 'connecting timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connecting timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  CERT_HAS_EXPIRED: 'TLS: its certificate has expired; also check this machine\'s clock',
  CERT_NOT_YET_VALID: 'TLS: its certificate is not valid yet; check this machine\'s clock',
  ERR_TLS_CERT_ALTNAME_INVALID: 'TLS: its certificate is for another host name',
}

/** Why a fetch failed, as the end of a sentence. */
export function whyUnreachable(error: unknown): string {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 6; depth += 1) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
    const sentence = SENTENCES[code]
    if (sentence !== undefined) return sentence
    if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)) return `TLS: its certificate is not trusted here (${code}); a private authority's certificate goes into NODE_EXTRA_CA_CERTS`
    if (/SSL|TLS|EPROTO/.test(code)) return `TLS: it does not speak TLS there (${code}); is it http:// instead of https://?`
    if (code.startsWith('HPE_') || cause.name === 'HTTPParserError') return 'it does not speak HTTP there; is it https:// instead of http://?'
    if (cause.message === 'bad port') return 'its port belongs to another protocol, so no HTTP client asks there; let the coordinator listen on another'
    if (cause instanceof AggregateError && cause.errors.length > 0) cause = cause.errors[0]
    else if (cause.cause === undefined) return cause.message
    else cause = cause.cause
  }
  return String(error)
}
