// SPDX-License-Identifier: MIT

/// How the table says what differs; what is not there is left, and the comparison tells.
extension SocketSaid {
    /// Puts a packet at a place, or at the end.
    mutating func put(_ packet: String, at place: Int = .max) { packets.insert(packet, at: min(place, packets.count)) }

    /// Takes away the last packet that is this.
    mutating func take(_ packet: String) {
        if let place = packets.lastIndex(of: packet) { packets.remove(at: place) }
    }

    mutating func move(_ packet: String, to place: Int) {
        take(packet)
        put(packet, at: place)
    }

    mutating func drop(_ places: Range<Int>) { packets.removeSubrange(places.clamped(to: packets.indices)) }

    /// Changes an answer; negative numbers count from the end.
    mutating func change(answer number: Int, _ change: (inout SocketReply) -> Void) {
        let place = number < 0 ? answers.count + number : number
        if answers.indices.contains(place) { change(&answers[place]) }
    }

    mutating func `repeat`(answer number: Int) {
        if answers.indices.contains(number) { answers.insert(answers[number], at: number) }
    }

    /// So many polls, and the goodbye behind them, are refused as of an unknown session.
    mutating func refuse(_ polls: Int) {
        guard let goodbye = answers.popLast() else { return }
        answers += Array(repeating: .plain("", to: "GET"), count: polls) + [goodbye]
        for place in answers.indices.suffix(polls + 1) { answers[place].refuse(1, "Session ID unknown") }
    }

    /// What our connector says to the probes with wrong requests; that the last one becomes a WebSocket is as ever.
    mutating func refuseAsProbed() {
        let unknown = (1, "Session ID unknown")
        let (transport, version) = ((0, "Transport unknown"), (5, "Unsupported protocol version"))
        let (method, request) = ((2, "Bad handshake method"), (3, "Bad request"))
        let refused = [
            ("GET", unknown), ("POST", unknown), ("GET", unknown), ("GET", transport), ("GET", transport),
            ("GET", version), ("GET", version), ("POST", method), ("PUT", method), ("OPTIONS", request),
            ("GET", request), ("GET", request),
        ]
        let last = answers.last
        answers = refused.map { refusal in
            var reply = SocketReply.plain("", to: refusal.0)
            reply.refuse(refusal.1.0, refusal.1.1)
            return reply
        }
        // A WebSocket that is refused ends with its connection.
        for place in [2, 11] { answers[place].set("Connection", "close") }
        answers[9] = SocketReply(
            "OPTIONS", "204 No Content",
            [
                "Access-Control-Allow-Methods: GET, POST, OPTIONS", "Access-Control-Max-Age: 600",
                "Connection: keep-alive",
            ], "")
        if let last { answers.append(last) }
    }

    /// A session that has begun and said no more, by a poll or by a WebSocket.
    static func begun(_ packets: [String], accept: String? = nil) -> SocketSaid {
        var said = SocketSaid(packets: packets)
        if let accept {
            said.answers = [.upgraded(accept)]
        } else {
            var poll = SocketReply.plain("", to: "GET")
            poll.carry(packets)
            said.polls = [poll]
        }
        return said
    }
}

extension SocketReply {
    static func plain(_ body: String, to method: String) -> SocketReply {
        SocketReply(method, "200 OK", ["Connection: keep-alive", "Content-Type: text/plain; charset=UTF-8"], body)
    }

    static func upgraded(_ accept: String) -> SocketReply {
        SocketReply(
            "GET", "101 Switching Protocols",
            ["Connection: Upgrade", "Sec-WebSocket-Accept: \(accept)", "Upgrade: websocket"], "")
    }

    mutating func replace(_ old: String, _ new: String) { body = body.replacing(old, with: new) }
}

extension String {
    /// How a session of this Engine.IO begins, with our times unless others are given.
    static func open(_ version: Int, upgrades: String, _ interval: Int = 25_000, _ timeout: Int = 60_000) -> String {
        let times = #""pingInterval":\#(interval),"pingTimeout":\#(timeout)"#
        return #"0{"sid":"<sid>","upgrades":[\#(upgrades)],\#(times)\#(version == 4 ? #","maxPayload":1048576"# : "")}"#
    }
}
