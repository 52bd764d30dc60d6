// SPDX-License-Identifier: MIT

/// What ``EngineIOSessionTableTests`` expects: `state | input | actions`; what is not listed does nothing.
enum SessionTables {
    static let one = """
        new | poll 10 | answer 10 1::
        new | begin 10 | refuse 10 3
        new | open 10 | send 10 1::
        new | close | end serverClosed
        new | quit 10 | accept 10, end clientClosed
        new | wait | end silent
        polling | open 10 | refuse 10 3
        polling | close | end serverClosed
        polling | quit 10 | accept 10, end clientClosed
        polling | wait | end silent
        poll waits | poll 10 | answer 2 8::
        poll waits | open 10 | refuse 10 3
        poll waits | send | answer 2 4x
        poll waits | close | answer 2 8::, end serverClosed
        poll waits | quit 10 | accept 10, answer 2 8::, end clientClosed
        poll waits | wait | answer 2 0::, end silent
        POST waits | begin 10 | refuse 10 3, refuse 3 3, end overlap
        POST waits | post 3 hello | accept 3, receive hi
        POST waits | post 3 close | accept 3, end clientClosed
        POST waits | post 3 nonsense | refuse 3 3, end malformed
        POST waits | open 10 | refuse 10 3
        POST waits | close | refuse 3 3, end serverClosed
        POST waits | quit 10 | accept 10, refuse 3 3, end clientClosed
        POST waits | wait | refuse 3 3, end silent
        probing | open 10 | refuse 10 3
        probing | close | end serverClosed
        probing | quit 10 | accept 10, end clientClosed
        probing | wait | end silent
        probing, poll waits | poll 10 | answer 2 8::
        probing, poll waits | open 10 | refuse 10 3
        probing, poll waits | send | answer 2 4x
        probing, poll waits | close | answer 2 8::, end serverClosed
        probing, poll waits | quit 10 | accept 10, answer 2 8::, end clientClosed
        probing, poll waits | wait | answer 2 0::, end silent
        probed | open 10 | refuse 10 3
        probed | close | end serverClosed
        probed | quit 10 | accept 10, end clientClosed
        probed | wait | end silent
        WebSocket | poll 10 | refuse 10 3
        WebSocket | begin 10 | refuse 10 3
        WebSocket | open 10 | refuse 10 3
        WebSocket | say 5 hello | receive hi
        WebSocket | drop 5 | end transportClosed
        WebSocket | send | send 5 4x
        WebSocket | close | shut 5, end serverClosed
        WebSocket | quit 10 | accept 10, shut 5, end clientClosed
        WebSocket | wait | shut 5, end silent
        upgraded | open 10 | refuse 10 3
        upgraded | close | end serverClosed
        upgraded | quit 10 | accept 10, end clientClosed
        upgraded | wait | end silent
        closing | poll 10 | refuse 10 1
        closing | begin 10 | refuse 10 1
        closing | open 10 | refuse 10 1
        closing | quit 10 | refuse 10 1
        closed | poll 10 | refuse 10 1
        closed | begin 10 | refuse 10 1
        closed | open 10 | refuse 10 1
        closed | quit 10 | refuse 10 1
        """

    static let four = """
        new | poll 10 | answer 10 3:0{}
        new | begin 10 | refuse 10 3
        new | open 10 | send 10 0{}
        new | close | end serverClosed
        new | quit 10 | accept 10, end clientClosed
        new | wait | end silent
        polling | quit 10 | accept 10, end clientClosed
        polling | wait | end silent
        poll waits | poll 10 | refuse 10 3, answer 2 1:1, end overlap
        poll waits | send | answer 2 2:4x
        poll waits | close | answer 2 1:1, end serverClosed
        poll waits | quit 10 | accept 10, answer 2 1:6, end clientClosed
        poll waits | wait | answer 2 1:1, end silent
        POST waits | begin 10 | refuse 10 3, refuse 3 3, end overlap
        POST waits | post 3 hello | accept 3, receive hi
        POST waits | post 3 close | accept 3, end clientClosed
        POST waits | post 3 nonsense | refuse 3 3, end malformed
        POST waits | quit 10 | accept 10, refuse 3 3, end clientClosed
        POST waits | wait | refuse 3 3, end silent
        probing | open 10 | refuse 10 3
        probing | say 4 2probe | send 4 3probe
        probing | say 4 nonsense | shut 4
        probing | close | shut 4
        probing | quit 10 | accept 10, shut 4, end clientClosed
        probing | wait | shut 4
        probing, poll waits | poll 10 | refuse 10 3, answer 2 1:1, shut 4, end overlap
        probing, poll waits | open 10 | refuse 10 3
        probing, poll waits | say 4 2probe | send 4 3probe, answer 2 1:6
        probing, poll waits | say 4 5 | answer 2 1:6
        probing, poll waits | say 4 nonsense | shut 4
        probing, poll waits | send | answer 2 2:4x
        probing, poll waits | close | shut 4, answer 2 1:1, end serverClosed
        probing, poll waits | quit 10 | accept 10, answer 2 1:6, shut 4, end clientClosed
        probing, poll waits | wait | shut 4
        probed | poll 10 | answer 10 1:6
        probed | open 10 | refuse 10 3
        probed | say 4 2probe | send 4 3probe
        probed | say 4 nonsense | shut 4
        probed | close | shut 4
        probed | quit 10 | accept 10, shut 4, end clientClosed
        probed | wait | shut 4
        WebSocket | poll 10 | refuse 10 3
        WebSocket | begin 10 | refuse 10 3
        WebSocket | open 10 | refuse 10 3
        WebSocket | say 5 hello | receive hi
        WebSocket | drop 5 | end transportClosed
        WebSocket | send | send 5 4x
        WebSocket | close | shut 5, end serverClosed
        WebSocket | quit 10 | accept 10, shut 5, end clientClosed
        WebSocket | wait | shut 5, end silent
        upgraded | poll 10 | refuse 10 3
        upgraded | begin 10 | refuse 10 3
        upgraded | open 10 | refuse 10 3
        upgraded | say 4 2probe | send 4 3probe
        upgraded | say 4 nonsense | shut 4, end malformed
        upgraded | drop 4 | end transportClosed
        upgraded | send | send 4 4x
        upgraded | close | shut 4, end serverClosed
        upgraded | quit 10 | accept 10, shut 4, end clientClosed
        upgraded | wait | shut 4, end silent
        closing | poll 10 | answer 10 1:1, end serverClosed
        closing | open 10 | refuse 10 3
        closing | quit 10 | accept 10, end clientClosed
        closing | wait | end serverClosed
        closed | poll 10 | refuse 10 1
        closed | begin 10 | refuse 10 1
        closed | open 10 | refuse 10 1
        closed | quit 10 | refuse 10 1
        """

    static let five = """
        new | poll 10 | answer 10 0{}
        new | begin 10 | refuse 10 3
        new | open 10 | send 10 0{}
        new | close | end serverClosed
        new | quit 10 | accept 10, end clientClosed
        polling | quit 10 | accept 10, end clientClosed
        poll waits | poll 10 | refuse 10 3, answer 2 1, end overlap
        poll waits | send | answer 2 4x
        poll waits | close | answer 2 1, end serverClosed
        poll waits | quit 10 | accept 10, answer 2 6, end clientClosed
        poll waits | wait | answer 2 2
        POST waits | begin 10 | refuse 10 3, refuse 3 3, end overlap
        POST waits | post 3 hello | accept 3, receive hi
        POST waits | post 3 close | accept 3, end clientClosed
        POST waits | post 3 nonsense | refuse 3 3, end malformed
        POST waits | quit 10 | accept 10, refuse 3 3, end clientClosed
        probing | open 10 | refuse 10 3
        probing | say 4 2probe | send 4 3probe
        probing | say 4 nonsense | shut 4
        probing | close | shut 4
        probing | quit 10 | accept 10, shut 4, end clientClosed
        probing | wait | shut 4
        probing, poll waits | poll 10 | refuse 10 3, answer 2 1, shut 4, end overlap
        probing, poll waits | open 10 | refuse 10 3
        probing, poll waits | say 4 2probe | send 4 3probe, answer 2 6
        probing, poll waits | say 4 5 | answer 2 6
        probing, poll waits | say 4 nonsense | shut 4
        probing, poll waits | send | answer 2 4x
        probing, poll waits | close | shut 4, answer 2 1, end serverClosed
        probing, poll waits | quit 10 | accept 10, answer 2 6, shut 4, end clientClosed
        probing, poll waits | wait | shut 4
        probed | poll 10 | answer 10 6
        probed | open 10 | refuse 10 3
        probed | say 4 2probe | send 4 3probe
        probed | say 4 nonsense | shut 4
        probed | close | shut 4
        probed | quit 10 | accept 10, shut 4, end clientClosed
        probed | wait | shut 4
        WebSocket | poll 10 | refuse 10 3
        WebSocket | begin 10 | refuse 10 3
        WebSocket | open 10 | refuse 10 3
        WebSocket | say 5 hello | receive hi
        WebSocket | drop 5 | end transportClosed
        WebSocket | send | send 5 4x
        WebSocket | close | shut 5, end serverClosed
        WebSocket | quit 10 | accept 10, shut 5, end clientClosed
        WebSocket | wait | send 5 2
        upgraded | poll 10 | refuse 10 3
        upgraded | begin 10 | refuse 10 3
        upgraded | open 10 | refuse 10 3
        upgraded | say 4 2probe | shut 4, end malformed
        upgraded | say 4 nonsense | shut 4, end malformed
        upgraded | drop 4 | end transportClosed
        upgraded | send | send 4 4x
        upgraded | close | shut 4, end serverClosed
        upgraded | quit 10 | accept 10, shut 4, end clientClosed
        upgraded | wait | send 4 2
        closing | poll 10 | answer 10 1, end serverClosed
        closing | open 10 | refuse 10 3
        closing | quit 10 | accept 10, end clientClosed
        closed | poll 10 | refuse 10 1
        closed | begin 10 | refuse 10 1
        closed | open 10 | refuse 10 1
        closed | quit 10 | refuse 10 1
        """
}
