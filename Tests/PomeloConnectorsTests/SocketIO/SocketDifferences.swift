// SPDX-License-Identifier: MIT

/// What our connector says otherwise than the servers that the clients were recorded with, and why.
struct SocketDifference {
    let recordings: [String]
    let why: String
    /// Turns what the other server said into what ours says.
    let edit: @Sendable (inout SocketReplay.Said) -> Void

    static let all = [
        SocketDifference(
            recordings: ["eio3-websocket-server_disconnect", "eio3-polling_upgrade-server_disconnect"],
            why: "after 41 the client knows; the close packet behind it is left out"
        ) { said in
            said.packets.removeLast()
        },
        SocketDifference(
            recordings: ["eio3-polling-server_disconnect"],
            why: "the same, and what it still posts is taken"
        ) { said in
            said.packets.removeLast()
            said.answers[said.answers.count - 1] = "POST 200"
        },
        SocketDifference(
            recordings: ["eio4-polling-server_disconnect"],
            why: "the close packet ends the session, and who posts to it later is refused, as any unknown session"
        ) { said in
            said.packets.append("1")
            said.answers[said.answers.count - 1] = "POST 400"
        },
        SocketDifference(
            recordings: ["eio4-js475-polling"],
            why: "a session that has said 41 and 1 has ended: what it posts afterwards is refused"
        ) { said in
            said.answers[said.answers.count - 1] = "POST 400"
        },
        SocketDifference(
            recordings: ["eio4-polling"],
            why: "a poll that waits when its client leaves is answered with 200, as by socket.io's own server"
        ) { said in
            said.answers.removeAll { $0 == "GET 400" }
        },
        SocketDifference(
            recordings: ["eio4-js475-polling_upgrade"],
            why: "the answer to 40 goes by the poll that waits, and not after the probe by WebSocket"
        ) { said in
            said.packets.swapAt(1, 2)
        },
        SocketDifference(
            recordings: ["eio3-polling-wrong_version", "eio3-polling_upgrade-wrong_version"],
            why: "one server speaks with all versions"
        ) { said in
            said = SocketReplay.Said(packets: ["0 [\"websocket\"]", "40"])
        },
        SocketDifference(
            recordings: ["eio4-polling-wrong_version", "eio4-polling_upgrade-wrong_version"], why: "the same"
        ) { said in
            said = SocketReplay.Said(packets: ["0 [\"websocket\"]"])
        },
        SocketDifference(recordings: ["eio3-websocket-wrong_version"], why: "the same") { said in
            said = SocketReplay.Said(packets: ["0 []", "40"], answers: ["GET 101"])
        },
        SocketDifference(recordings: ["eio4-websocket-wrong_version"], why: "the same") { said in
            said = SocketReplay.Said(packets: ["0 []"], answers: ["GET 101"])
        },
        SocketDifference(
            recordings: ["sio09-polling-server_disconnect"],
            why: "an unknown session is refused with 400; told 7:::1+0 with 200, the client polls without a pause"
        ) { said in
            // The request of one of these answers is left out of the recording.
            let polls = said.packets.count { $0 == "7:::1+0" } - 1
            said.packets.removeAll { $0 == "7:::1+0" }
            said.answers.removeLast()
            said.answers += Array(repeating: "GET 400", count: polls) + ["leave 400"]
        },
        SocketDifference(
            recordings: ["eio3-raw-errors", "eio4-raw-errors"],
            why: "as socket.io's own server: a transport must be named, one that is polling is no WebSocket, and of "
                + "methods no other than GET and POST are known; JSONP is not offered, nor Engine.IO 2"
        ) { said in
            let isOld = said.packets.contains("40")
            let opens = Array(repeating: "0 [\"websocket\"]", count: 3) + ["0 []"]
            said.packets = opens.flatMap { isOld ? [$0, "40"] : [$0] }
            said.answers = [
                "GET 400", "POST 400", "GET 400", "GET 400", "GET 400", "GET 400", "GET 400", "POST 400", "PUT 400",
                "OPTIONS 204", "GET 400", "GET 400", "GET 101",
            ]
        },
    ]

    /// What is not a server's conduct but a script that tries out clients.
    static let notPlayed = [
        "framing_": "payloads in every frame there could be", "_packets": "many packets in one payload",
        "ns_error": "40 is refused", "node_style": "the first request is refused", "handshake_401": "the same",
        "handshake_503": "the same", "websocket_refused": "the WebSocket is refused", "noop": "empty answers to polls",
        "close_packet": "an end without a goodbye", "unknown_sid": "a session is forgotten",
        "error_packet": "an error out of nothing", "no_connect_packet": "no greeting",
    ]
}
