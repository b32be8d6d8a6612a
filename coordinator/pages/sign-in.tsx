/** Where a person proves who they are: by a one-time link, which fills in the form, or by pasting a token. */
import { document, Page } from './layout.tsx'

interface SignInProps {
  readonly nonce: string
  /** What was wrong with the last try, or null. */
  readonly message: string | null
  /** Of a sign-in link; null where one must be pasted. */
  readonly token: string | null
}

export function signInPage({ nonce, message, token }: SignInProps) {
  return document(
    <Page frame={{ nonce, principal: null, now: 0 }} title="Sign in">
      <form class="sign-in" method="post" action="/sign-in">
        <h1>Sign in</h1>
        {message !== null && <p class="problem" role="alert">{message}</p>}
        {token !== null ? (
          <>
            <p>This link works once and signs this browser in for 30 days.</p>
            <input type="hidden" name="token" value={token} />
          </>
        ) : (
          <>
            <label>
              <span>Admin or API token</span>
              <input type="password" name="token" autocomplete="current-password" autofocus required spellcheck={false} />
            </label>
            <p class="hint">
              <code>kedge login</code> prints a link that needs no pasting; so does <code>kedge dev</code> when it starts.
            </p>
          </>
        )}
        <button class="primary">Sign in</button>
      </form>
    </Page>,
  )
}
