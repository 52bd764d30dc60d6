// SPDX-License-Identifier: MIT

/// What our sessions say otherwise than the servers that the clients were recorded with, and why.
struct SocketDifference {
    let recordings: [String]
    let why: String
    /// Turns what the other server said into what ours says.
    let edit: @Sendable (inout SocketReplay.Said) -> Void

    static let all = [
        SocketDifference(
            recordings: [
                "eio3-polling-server_disconnect", "eio3-websocket-server_disconnect",
                "eio3-polling_upgrade-server_disconnect",
            ],
            why: "after 41 the client knows; the close packet behind it is left out, and what it still posts is taken"
        ) { said in
            if said.packets.last == "1" { said.packets.removeLast() }
            said.posts = said.posts.map { _ in "ok" }
        },
        SocketDifference(
            recordings: ["eio4-polling-server_disconnect"],
            why: "the close packet ends the session, and who posts to it later is refused, as any unknown session"
        ) { said in
            said.packets.append("1")
            said.posts[said.posts.count - 1] = "refused"
        },
        SocketDifference(
            recordings: ["eio4-js475-polling"],
            why: "a session that has said 41 and 1 has ended: what it posts afterwards is refused"
        ) { said in
            said.posts[said.posts.count - 1] = "refused"
        },
        SocketDifference(
            recordings: ["eio4-js475-polling_upgrade"],
            why: "the answer to 40 goes by the poll that waits, and not after the probe by WebSocket"
        ) { said in
            said.packets.swapAt(1, 2)
        },
        SocketDifference(
            recordings: ["sio09-polling-server_disconnect"],
            why: "an unknown session is refused with 400; told 7:::1+0 with 200, the client polls without a pause"
        ) { said in
            said.packets.removeAll { $0 == "7:::1+0" }
        },
    ]

    /// What is not a server's conduct but a script that tries out clients, or ends before there is a session.
    static let notPlayed = [
        "framing_": "a script frames payloads in every way", "_packets": "a script sends many packets at once",
        "ns_": "a script answers 40 oddly", "node_style": "a script refuses", "close_packet": "a script closes",
        "raw_utf8": "a script writes other texts", "raw-errors": "requests without a session",
        "no_maxpayload": "a script leaves out a member", "noop": "a script sends empty answers",
        "wrong_version": "refused before there is a session", "handshake_": "a script answers the handshake oddly",
        "cors_": "a script leaves out headers", "websocket_refused": "a script refuses",
        "unknown_sid": "a script forgets its session", "error_packet": "a script sends an error",
        "no_connect_packet": "a script leaves out a packet",
    ]
}
