// SPDX-License-Identifier: MIT

// MARK: what scripts tried

extension SocketDifference {
    static let trials = [
        SocketDifference(
            "eio3-polling-framing_binary_byte_length",
            theirs: "a script has its say before it reads",
            ours: "answers a ping that came first first",
            why: "what comes first is answered first"
        ) { said in
            said.take("3")
            said.put("3", at: 2)
        },
        SocketDifference(
            "eio3-polling-framing_binary_byte_length_text_type",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said.drop(8..<9)
            said.put("3", at: 2)
        },
        SocketDifference(
            "eio3-polling-framing_text_codepoint_length",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said.drop(4..<5)
            said.put("3", at: 2)
        },
        SocketDifference(
            "eio3-polling-framing_binary_codepoint_length", "eio3-polling-framing_text_byte_length",
            "eio3-polling-framing_text_utf16_length", "eio3-polling-20_packets",
            theirs: "has its say, which its client does not understand and leaves",
            ours: "the same",
            why: "the same"
        ) { said in
            said.put("3", at: 2)
        },
        SocketDifference(
            "eio3-js172-framing_text_ascii_escaped",
            theirs: "puts two messages into one poll, where a second comes free for 6",
            ours: "sends the first by the poll that waits, and needs the next poll for the second",
            why: "who waits gets what there is at once"
        ) { said in
            said.drop(6..<7)
            said.put("6")
        },
        SocketDifference(
            "eio3-js172-framing_text_byte_length",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said.drop(5..<6)
            said.put("6", at: 6)
        },
        SocketDifference(
            "eio3-js172-framing_text_codepoint_length", "eio3-js172-framing_text_utf16_length",
            "eio3-js172-framing_text_double_utf8",
            theirs: "puts two messages into one poll, by which it loses its client",
            ours: "has sent the first when the recording ends",
            why: "nothing differs but the recording, for who leaves polls no more"
        ) { said in
            said.take(said.packets.last ?? "")
        },
        SocketDifference(
            "eio4-polling-no_maxpayload",
            theirs: "does not tell the longest body",
            ours: "tells it",
            why: "the protocol asks for it"
        ) { said in
            said.drop(0..<1)
            said.put(.open(4, upgrades: "", 1000, 3000), at: 0)
        },
        SocketDifference(
            "eio4-polling-ns_error", "eio4-polling-ns_without_sid",
            theirs: "refuses the namespace, or tells no name",
            ours: "takes it and tells a name",
            why: "there is one namespace, which all may enter"
        ) { said in
            said.drop(1..<2)
            said.put("40{\"sid\":\"<sid>\"}", at: 1)
        },
        SocketDifference(
            "eio4-polling-raw_utf8_no_charset",
            theirs: "leaves the character set unsaid",
            ours: "says it",
            why: "clients would have to guess"
        ) { said in
            said.changeReplies { $0.set("Content-Type", "text/plain; charset=UTF-8") }
        },
    ]
}

// MARK: 0.9

extension SocketDifference {
    static let old = [
        SocketDifference(
            "sio09-handshake_401", "sio09-page-handshake_401", "sio09-page-handshake_503",
            theirs: "a script refuses whoever comes",
            ours: "begins a session",
            why: "ours refuses with 403 pages of other origins, with 503 those for whom there is no room"
        ) { said in
            said.changeReplies { ($0.status, $0.body) = ("200 OK", "<sid>:60:60:websocket,xhr-polling") }
        },
        SocketDifference(
            "sio09-handshake_empty_heartbeat", "sio09-page-handshake_empty_heartbeat",
            theirs: "leaves out when a client that is not heard is given up",
            ours: "tells it",
            why: "the page takes nothing for at once"
        ) { said in
            said.changeReplies { $0.replace("<sid>::5:", "<sid>:4:5:") }
        },
        SocketDifference(
            "sio09-page-websocket-no_heartbeat",
            theirs: "tells one of its two ports 3 s, and the other 4 s",
            ours: "tells both 4 s",
            why: "here one connector is both"
        ) { said in
            said.changeReplies { $0.replace("<sid>:3:5:", "<sid>:4:5:") }
        },
        SocketDifference(
            "sio09-page-cors_none", "sio09-page-cors_star",
            theirs: "does not name the page that may read the answer",
            ours: "names it",
            why: "a browser shows it to that page alone"
        ) { said in
            said.change(answer: 0) { reply in
                reply.set("Access-Control-Allow-Origin", reply.origin)
                reply.set("Access-Control-Allow-Credentials", "true")
                reply.set("Vary", "Origin")
            }
        },
        SocketDifference(
            "sio09-websocket_refused",
            theirs: "a script refuses the WebSocket that it has offered",
            ours: "takes it",
            why: "ours refuses what it has not offered"
        ) { said in
            said.put("1::")
            said.change(answer: 1) { $0 = .upgraded("FkXQLry47vPHd8XNvtrcF9+M0T0=") }
        },
        SocketDifference(
            "sio09-polling",
            theirs: "says nothing to who says goodbye",
            ours: "says 1, as to all that a client says",
            why: "nobody reads it"
        ) { said in
            said.change(answer: -1) { $0.body = "1" }
        },
        SocketDifference(
            "sio09-polling-server_disconnect", "sio09-polling-unknown_sid",
            theirs: "tells a session that has ended 7:::1+0, with 200, whenever it polls",
            ours: "refuses it with 400",
            why: "told so, the client polls without a pause"
        ) { said in
            let polls = said.packets.count { $0 == "7:::1+0" }
            said.packets.removeAll { $0 == "7:::1+0" }
            said.refuse(polls)
        },
        SocketDifference(
            "sio09-polling-server_disconnect",
            theirs: "answers a poll whose request is left out of the recording",
            ours: "answers what is asked",
            why: "nothing differs but the recording, which was cut"
        ) { said in
            said.answers.remove(at: said.answers.count - 2)
        },
        SocketDifference(
            "sio09-polling-unknown_sid",
            theirs: "gives a poll 8:: while it forgets the session",
            ours: "has no such poll",
            why: "the session was ended before it came"
        ) { said in
            said.take("8::")
        },
    ]
}

// MARK: the public page, which speaks 0.9

extension SocketDifference {
    static let pages = [
        SocketDifference(
            "sio09-page-websocket", "sio09-page-websocket-burst", "sio09-page-websocket-close_frame",
            "sio09-page-websocket-dropped", "sio09-page-websocket-error_packet", "sio09-page-websocket-event_packet",
            "sio09-page-websocket-no_connect_packet",
            "sio09-page-websocket-no_heartbeat", "sio09-page-websocket-server_disconnect",
            "sio09-page-handshake_empty_heartbeat",
            theirs: "drops the connection of a client that says goodbye and closes",
            ours: "answers the close frame",
            why: "RFC 6455, section 5.5.1"
        ) { said in
            said.put("close 03e8", at: 2)
        },
        SocketDifference(
            "sio09-page-websocket", "sio09-page-websocket-burst", "sio09-page-websocket-error_packet",
            theirs: "the same, of the second session",
            ours: "the same",
            why: "the same"
        ) { said in
            said.put("close 03e8")
        },
        SocketDifference(
            "sio09-websocket-server_disconnect",
            theirs: "drops the connection after 0::",
            ours: "closes it with a close frame",
            why: "RFC 6455, section 7.1.1"
        ) { said in
            said.put("close 03e8")
        },
        SocketDifference(
            "sio09-page-websocket-server_disconnect",
            theirs: "closes with a close frame that says nothing",
            ours: "says that all is well",
            why: "clients report 1005 or 1006 otherwise"
        ) { said in
            said.take("close ")
            said.put("close 03e8")
        },
        SocketDifference(
            "sio09-page-websocket-error_packet",
            theirs: "a script tells an error",
            ours: "has none to tell but the end",
            why: "where it would tell one, it ends the session"
        ) { said in
            said.take("7:::1+0")
        },
        SocketDifference(
            "sio09-page-websocket-no_connect_packet",
            theirs: "a script does not greet",
            ours: "greets everybody",
            why: "clients wait for it"
        ) { said in
            said.put("1::", at: 3)
        },
    ]
}
