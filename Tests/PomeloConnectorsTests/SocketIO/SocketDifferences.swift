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
            recordings: [
                "eio3-polling-wrong_version", "eio3-polling_upgrade-wrong_version", "eio3-polling-node_style_400",
            ],
            why: "one server speaks with all versions"
        ) { said in
            said = SocketReplay.Said(packets: ["0 [\"websocket\"]", "40"])
        },
        SocketDifference(
            recordings: [
                "eio4-polling-wrong_version", "eio4-polling_upgrade-wrong_version", "eio4-polling-node_style_400",
            ],
            why: "the same"
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
        SocketDifference(
            recordings: [
                "eio3-polling-framing_text_codepoint_length", "eio3-polling-framing_text_utf16_length",
                "eio3-polling-framing_text_byte_length", "eio3-polling-framing_binary_byte_length",
                "eio3-polling-framing_binary_byte_length_text_type", "eio3-polling-framing_binary_codepoint_length",
                "eio3-polling-20_packets",
            ],
            why: "a script had its say before it read; here a ping that came first is answered first"
        ) { said in
            if let pong = said.packets.firstIndex(of: "3") { said.packets.remove(at: pong) }
            said.packets.insert("3", at: 2)
        },
        SocketDifference(
            recordings: [
                "eio3-js172-framing_text_codepoint_length", "eio3-js172-framing_text_utf16_length",
                "eio3-js172-framing_text_double_utf8",
            ],
            why: "both messages came in one payload; here the second waits for a poll, and the client has given up"
        ) { said in
            said.packets.removeLast()
        },
        SocketDifference(
            recordings: ["sio09-handshake_401", "sio09-page-handshake_401", "sio09-page-handshake_503"],
            why: "a script refused whoever came; ours refuses with 403 the pages of other origins, and with 503 those "
                + "for whom there is no room"
        ) { said in
            said.answers = said.answers.map { _ in "GET 200 websocket,xhr-polling" }
        },
        SocketDifference(
            recordings: ["sio09-websocket_refused"],
            why: "a script offered a WebSocket and refused it; ours refuses what it has not offered"
        ) { said in
            said.packets = ["1::"]
            said.answers[1] = "GET 101"
        },
        SocketDifference(recordings: ["eio4-polling-ns_error"], why: "ours refuses no namespace") { said in
            said.packets[1] = "40"
        },
        SocketDifference(
            recordings: ["eio3-polling-server_close_packet", "eio4-polling-server_close_packet"],
            why: "a script ended it without 41, which says that the client is to stay away"
        ) { said in
            said.packets.insert("41", at: said.packets.count - 1)
        },
        SocketDifference(
            recordings: ["eio3-polling-unknown_sid", "eio3-js172-polling-unknown_sid"],
            why: "a poll that waits when its session is forgotten is answered with 200"
        ) { said in
            said.answers.removeAll { $0 == "GET 400" }
        },
        SocketDifference(
            recordings: ["eio4-polling-unknown_sid"],
            why: "the same, and when its client leaves; what it still posted has no answer in the recording"
        ) { said in
            said.answers.removeAll { $0 == "GET 400" }
            said.answers.insert(contentsOf: ["GET 400", "POST 400"], at: 2)
        },
        SocketDifference(
            recordings: ["sio09-polling-unknown_sid"],
            why: "as after a disconnect: an unknown session is refused with 400"
        ) { said in
            let polls = said.packets.count { $0 == "7:::1+0" }
            said.packets.removeAll { $0 == "7:::1+0" }
            said.answers.removeLast()
            said.answers += Array(repeating: "GET 400", count: polls) + ["leave 400"]
        },
        SocketDifference(
            recordings: ["sio09-page-websocket-error_packet"], why: "ours has no errors to tell but the end"
        ) { said in
            said.packets.removeAll { $0 == "7:::1+0" }
        },
        SocketDifference(recordings: ["sio09-page-websocket-no_connect_packet"], why: "everybody is greeted") { said in
            said.packets.append("1::")
        },
    ]
}
