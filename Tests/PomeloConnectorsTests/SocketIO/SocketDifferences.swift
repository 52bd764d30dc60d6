// SPDX-License-Identifier: MIT
import PomeloWire

/// What our connector says otherwise than the server of a recording, and why; ``SocketRule`` has what it says otherwise
/// than all of them.
struct SocketDifference: Sendable {
    let recordings: [String]
    let theirs: String
    let ours: String
    let why: String
    /// Turns what the other server said into what ours says.
    let edit: @Sendable (inout SocketSaid) -> Void

    init(
        _ recordings: String..., theirs: String, ours: String, why: String,
        edit: @escaping @Sendable (inout SocketSaid) -> Void
    ) {
        (self.recordings, self.theirs, self.ours, self.why, self.edit) = (recordings, theirs, ours, why, edit)
    }

    static let all = ends + polls + versions + errors + trials + old + pages

    /// Turns what the other server said in a recording into what ours says.
    static func apply(to said: inout SocketSaid, of recording: String, _ revision: SocketIORevision) {
        SocketRule.apply(to: &said, revision)
        for difference in all where difference.recordings.contains(recording) { difference.edit(&said) }
    }
}

// MARK: the end

extension SocketDifference {
    fileprivate static let ends = [
        SocketDifference(
            "eio3-websocket-server_disconnect", "eio3-polling_upgrade-server_disconnect",
            "eio3-polling-server_disconnect",
            theirs: "ends with 41 and the close packet",
            ours: "with 41 alone",
            why: "after 41 the client knows"
        ) { said in
            said.take("1")
        },
        SocketDifference(
            "eio3-polling-server_disconnect",
            theirs: "refuses what the client posts after 41",
            ours: "takes it",
            why: "the client says its own end so, and shows a refusal as an error"
        ) { said in
            said.change(answer: -1) { $0 = .plain("ok", to: "POST") }
        },
        SocketDifference(
            "eio4-polling-server_disconnect",
            theirs: "ends with 41, and takes what the client posts afterwards",
            ours: "adds the close packet, and refuses it as of any unknown session",
            why: "in polling that packet ends a session of Engine.IO 4"
        ) { said in
            said.put("1")
            said.change(answer: -1) { $0.refuse(1, "Session ID unknown") }
        },
        SocketDifference(
            "eio4-js475-polling",
            theirs: "takes what a client posts after its own 41",
            ours: "refuses it as of any unknown session",
            why: "the session has ended"
        ) { said in
            said.change(answer: -1) { $0.refuse(1, "Session ID unknown") }
        },
        SocketDifference(
            "eio3-polling-server_close_packet", "eio4-polling-server_close_packet",
            theirs: "a script ends without 41",
            ours: "says 41 first",
            why: "41 says that the client is to stay away"
        ) { said in
            said.put("41", at: 2)
        },
    ]
}

// MARK: polls

extension SocketDifference {
    fileprivate static let polls = [
        SocketDifference(
            "eio3-polling_upgrade", "eio3-polling_upgrade-server_disconnect", "eio4-polling_upgrade",
            "eio4-polling_upgrade-server_disconnect", "eio4-js475-polling_upgrade-server_disconnect",
            theirs: "says 6 over the WebSocket",
            ours: "says it to polls alone",
            why: "it says nothing but that a poll ends"
        ) { said in
            said.take("6")
        },
        SocketDifference(
            "eio4-js475-polling_upgrade",
            theirs: "ends the poll that waits with 6, and answers 40 over the WebSocket",
            ours: "answers 40 by that poll",
            why: "it waits for just that"
        ) { said in
            said.take("6")
            said.take("6")
            said.move("40{\"sid\":\"<sid>\"}", to: 1)
        },
        SocketDifference(
            "eio4-polling", "eio4-polling-unknown_sid", "eio3-polling-unknown_sid", "eio3-js172-polling-unknown_sid",
            theirs: "lets a poll wait whose session has ended, then refuses it",
            ours: "ends it at once, with 6",
            why: "as socket.io's own server; its client has done nothing wrong"
        ) { said in
            said.answers.removeAll { $0.method == "GET" && $0.body == "\"Bad Request\"" }
        },
        SocketDifference(
            "eio3-polling-unknown_sid", "eio4-polling-unknown_sid", "eio3-polling-16_packets",
            "eio3-polling-framing_binary_byte_length", "eio3-polling-framing_binary_byte_length_text_type",
            "eio3-polling-framing_text_codepoint_length", "eio4-polling-no_maxpayload", "eio4-polling-noop",
            "eio4-polling-ns_error", "eio4-polling-ns_without_sid",
            theirs: "says nothing more to a poll when its client has left",
            ours: "ends it at once, with 6",
            why: "as socket.io's own server; the connection is free"
        ) { said in
            said.put("6")
        },
        SocketDifference(
            "eio3-js172-polling-unknown_sid",
            theirs: "the same, of the first of two sessions",
            ours: "the same",
            why: "the same"
        ) { said in
            said.put("6", at: 3)
        },
        SocketDifference(
            "eio4-polling-unknown_sid",
            theirs: "gives no answer to a POST while it forgets the session",
            ours: "refuses it",
            why: "every request is answered"
        ) { said in
            said.repeat(answer: 2)
            said.change(answer: 3) { reply in
                reply.method = "POST"
                reply.refuse(1, "Session ID unknown")
            }
        },
        SocketDifference(
            "eio4-polling-no_maxpayload", "eio4-polling-noop", "eio4-polling-ns_error", "eio4-polling-ns_without_sid",
            "eio4-polling-raw_utf8", "eio4-polling-raw_utf8_no_charset",
            theirs: "a script asks a client that has left for a sign of life",
            ours: "does not",
            why: "nobody is there"
        ) { said in
            said.take("2")
        },
        SocketDifference(
            "sio09-polling", "sio09-page-polling",
            theirs: "a script sends a heartbeat to a client that has left",
            ours: "does not",
            why: "nobody is there"
        ) { said in
            said.take("2::")
        },
    ]
}

// MARK: versions

extension SocketDifference {
    fileprivate static let versions = [
        SocketDifference(
            "eio3-polling-wrong_version", "eio3-polling_upgrade-wrong_version", "eio3-polling-node_style_400",
            theirs: "does not speak the client's version",
            ours: "speaks it",
            why: "one server speaks with clients of all versions"
        ) { said in
            said = .begun([.open(3, upgrades: "\"websocket\""), "40"])
        },
        SocketDifference(
            "eio4-polling-wrong_version", "eio4-polling_upgrade-wrong_version", "eio4-polling-node_style_400",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said = .begun([.open(4, upgrades: "\"websocket\"")])
        },
        SocketDifference(
            "eio3-websocket-wrong_version",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said = .begun([.open(3, upgrades: ""), "40"], accept: "qoE+XV0R8Iion8q3KLUicFU+S98=")
        },
        SocketDifference(
            "eio4-websocket-wrong_version",
            theirs: "the same",
            ours: "the same",
            why: "the same"
        ) { said in
            said = .begun([.open(4, upgrades: "")], accept: "QztJVqRUJLJnxXUXp2mIYVC63zY=")
        },
    ]
}

// MARK: requests that are wrong

extension SocketDifference {
    fileprivate static let errors = [
        SocketDifference(
            "eio3-raw-errors",
            theirs: "takes a poll for a WebSocket's and one without a version",
            ours: "refuses both",
            why: "as socket.io's own server: a transport must be named, and Engine.IO 2 is not spoken"
        ) { said in
            said.drop(6..<10)
        },
        SocketDifference(
            "eio4-raw-errors",
            theirs: "offers JSONP, and takes a request without a transport",
            ours: "does neither",
            why: "nobody uses the first; the second is as socket.io's own server"
        ) { said in
            said.drop(2..<4)
        },
        SocketDifference(
            "eio3-raw-errors", "eio4-raw-errors",
            theirs: "answers wrong requests each in its way, one of them with 500",
            ours: "refuses them with a code",
            why: "as socket.io's own server; OPTIONS is what browsers ask before a request to another origin"
        ) { said in
            said.refuseAsProbed()
        },
    ]
}
