import { expect, test } from 'vitest'
import { whyUnreachable } from '../../agent/unreachable.ts'

/** As Node's fetch fails: the reason is a cause, some levels down. */
const failed = (code: string) => new TypeError('fetch failed', { cause: new AggregateError([Object.assign(new Error(`it said ${code}`), { code })]) })

test.each([
  ['ECONNREFUSED', 'connection refused'],
  ['ENOTFOUND', 'no such host name'],
  ['EAI_AGAIN', 'the name service does not answer'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'TLS: its certificate is for another host name'],
  ['CERT_HAS_EXPIRED', "TLS: its certificate has expired; also check this machine's clock"],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', "TLS: its certificate is not trusted here (DEPTH_ZERO_SELF_SIGNED_CERT); a private authority's certificate goes into NODE_EXTRA_CA_CERTS"],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', "TLS: its certificate is not trusted here (UNABLE_TO_VERIFY_LEAF_SIGNATURE); a private authority's certificate goes into NODE_EXTRA_CA_CERTS"],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'TLS: it does not speak TLS there (ERR_SSL_WRONG_VERSION_NUMBER); is it http:// instead of https://?'],
  ['HPE_INVALID_CONSTANT', 'it does not speak HTTP there; is it https:// instead of http://?'],
  ['ESURPRISE', 'it said ESURPRISE'],
])('%s is: %s', (code, why) => {
  expect(whyUnreachable(failed(code))).toBe(why)
})
