// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire

/// A client, a network and an owner around one session, driven by choices: what must hold is checked at every step.
///
/// The server sends `42["message","0"]`, `…"1"]` and so on; the client notes what reaches it. Faults are texts, so that
/// tests report them and fuzzing traps on them.
struct SessionModel {
    /// A request whose answer is to come, or is being written.
    private enum Request {
        case poll, post
        case answer(EngineIOPayload)
        case webSocket
    }

    let revision: SocketIORevision
    private(set) var session: EngineIOSession
    private(set) var faults: [String] = []
    private(set) var ends: [EngineIOSession.EndReason] = []
    private(set) var sent = 0
    private(set) var reached: [Int] = []
    private var requests: [UInt64: Request] = [:]
    private var last: UInt64 = 0
    private var now: UInt64 = 0
    private var dropped: Set<Int> = []

    init(_ revision: SocketIORevision) {
        self.revision = revision
        var options = EngineIOSession.Options()
        options.maxPacketsPerPost = 8
        options.closeTimeout = 5_000_000_000
        options.pollDuration = 3_000_000_000
        let greeting = revision == .one ? ["1::"] : revision == .four ? ["0{}", "40"] : ["0{}"]
        session = EngineIOSession(revision, options: options, greeting: greeting.map { Bytes($0.utf8) }, now: 0)
    }

    private func packet(_ index: Int) -> Bytes {
        Bytes((revision == .one ? "3:::\(index)" : "42[\"message\",\"\(index)\"]").utf8)
    }

    private var open: (polls: [UInt64], posts: [UInt64], answers: [UInt64], webSockets: [UInt64]) {
        var all: (polls: [UInt64], posts: [UInt64], answers: [UInt64], webSockets: [UInt64]) = ([], [], [], [])
        for (number, request) in requests.sorted(by: { $0.key < $1.key }) {
            switch request {
            case .poll: all.polls.append(number)
            case .post: all.posts.append(number)
            case .answer: all.answers.append(number)
            case .webSocket: all.webSockets.append(number)
            }
        }
        return all
    }

    /// Takes one choice and what it needs.
    mutating func step(_ choice: UInt8, _ argument: UInt8) {
        let open = self.open
        switch choice % 16 {
        case 0, 1: poll()
        case 2: finishAnswer(open.answers, argument)
        case 3: closeRequest(open.polls + open.answers + open.posts, argument)
        case 4, 5, 6: send()
        case 7: post(Self.bodies(revision)[Int(argument) % Self.bodies(revision).count])
        case 8: beginPost()
        case 9: openWebSocket()
        case 10, 11: webSocketSays(open.webSockets, argument)
        case 12 where !open.webSockets.isEmpty:
            let number = open.webSockets[Int(argument) % open.webSockets.count]
            requests[number] = nil
            perform(session.webSocketClosed(number))
        case 13: pass(UInt64(argument) * 40_000_000)
        case 14 where argument < 8: perform(session.close(now: now))
        case 15 where argument < 64: drop(argument)
        default: break
        }
        check()
    }

    /// Lets the client fetch all that waits, by polls or from its WebSocket.
    mutating func settle() {
        for _ in 0..<(session.queuedPackets + 8) where !session.isClosed && session.webSocket == nil {
            let open = self.open
            for number in open.answers { finishAnswer([number], 0) }
            if open.polls.isEmpty { poll() }
            pass(100_000_000)
        }
        for number in open.answers { finishAnswer([number], 0) }
        let expected = (0..<sent).filter { !dropped.contains($0) }
        if ends.isEmpty, reached != expected { faults.append("reached \(reached), sent \(expected)") }
    }

    // MARK: - Inputs

    private mutating func poll() {
        // A client whose last answer is on the way has it before it asks again.
        for number in open.answers { finishAnswer([number], 0) }
        last += 1
        requests[last] = .poll
        perform(session.pollArrived(last, now: now))
    }

    private mutating func finishAnswer(_ answers: [UInt64], _ argument: UInt8) {
        guard !answers.isEmpty else { return }
        let number = answers[Int(argument) % answers.count]
        guard case .answer(let payload) = requests.removeValue(forKey: number) else { return }
        arrive(payload)
        session.answerWritten(number)
    }

    private mutating func closeRequest(_ numbers: [UInt64], _ argument: UInt8) {
        guard !numbers.isEmpty else { return }
        let number = numbers[Int(argument) % numbers.count]
        requests[number] = nil
        session.requestClosed(number, now: now)
    }

    private mutating func send() {
        if session.isClosed || session.isClosing { return }
        let index = sent
        sent += 1
        perform(session.send(packet(index), topic: Text("t"), now: now))
    }

    private mutating func post(_ body: String) {
        let number: UInt64
        if let begun = open.posts.first {
            number = begun
        } else {
            beginPost()
            guard let begun = open.posts.first else { return }
            number = begun
        }
        perform(session.postArrived(number, body: Bytes(body.utf8).span, now: now))
    }

    private mutating func beginPost() {
        last += 1
        requests[last] = .post
        perform(session.postBegan(last))
    }

    private mutating func openWebSocket() {
        last += 1
        requests[last] = .webSocket
        perform(session.webSocketOpened(last, now: now))
    }

    private mutating func webSocketSays(_ webSockets: [UInt64], _ argument: UInt8) {
        guard let number = webSockets.last else { return }
        let words = ["2probe", "5"] + Self.bodies(revision)
        let word = words[Int(argument >> 1) % words.count]
        if word == "5" {
            // The client upgrades when its poll has ended.
            for number in open.answers { finishAnswer([number], 0) }
        }
        perform(
            session.webSocketReceived(number, Bytes(word.utf8).span, isText: argument != 255, now: now))
    }

    private mutating func pass(_ time: UInt64) {
        let before = session.deadline
        now += time
        let actions = session.timePassed(now: now)
        if !actions.isEmpty, before.map({ $0 > now }) ?? true { faults.append("acted before its deadline") }
        perform(actions)
        if let deadline = session.deadline, deadline <= now {
            faults.append("deadline \(deadline) stays behind \(now)")
        }
    }

    private mutating func drop(_ argument: UInt8) {
        // The model knows only of the packets that were not given to an answer which may yet be lost.
        guard open.answers.isEmpty, !session.isClosed, session.webSocket == nil else { return }
        let waiting = (0..<sent).filter { !dropped.contains($0) && !reached.contains($0) }
        if argument < 48 {
            let count = session.dropOldest(downTo: session.queuedBytes - 1)
            if count != min(1, waiting.count) { faults.append("dropOldest: \(count), waiting \(waiting)") }
            if let first = waiting.first { dropped.insert(first) }
        } else {
            let count = session.drop(topic: Text("t"))
            if count != waiting.count { faults.append("drop: \(count), waiting \(waiting)") }
            dropped.formUnion(waiting)
        }
    }

    // MARK: - What must hold

    private mutating func perform(_ actions: [EngineIOSession.Action]) {
        for action in actions {
            if !ends.isEmpty {
                guard case .refuse(_, .unknownSession) = action else {
                    faults.append("\(action) after the end")
                    continue
                }
            }
            switch action {
            case .answer(let number, let payload):
                guard case .poll = requests[number] else {
                    faults.append("answer to no poll \(number)")
                    continue
                }
                requests[number] = .answer(payload)
            case .accept(let number):
                guard case .post = requests.removeValue(forKey: number) else {
                    faults.append("accepts no POST \(number)")
                    continue
                }
            case .refuse(let number, _):
                if case .answer = requests[number] { faults.append("refuses an answered poll \(number)") }
                if requests.removeValue(forKey: number) == nil { faults.append("refuses nothing \(number)") }
            case .send(let number, let packet):
                guard case .webSocket = requests[number] else {
                    faults.append("sends on no WebSocket \(number)")
                    continue
                }
                arrive(packet)
            case .closeWebSocket(let number):
                guard case .webSocket = requests.removeValue(forKey: number) else {
                    faults.append("closes no WebSocket \(number)")
                    continue
                }
            case .receive: break
            case .end(let reason):
                ends.append(reason)
                if ends.count > 1 { faults.append("two ends") }
            }
        }
    }

    private mutating func check() {
        let open = self.open
        if open.polls.count > 1 { faults.append("two polls wait") }
        if open.webSockets.count > 1, session.webSocket != nil || revision == .one { faults.append("two WebSockets") }
        if session.isClosed != !ends.isEmpty { faults.append("closed without an end, or the other way round") }
        if session.isClosed, !open.polls.isEmpty || !open.posts.isEmpty || !open.webSockets.isEmpty {
            faults.append("something waits behind the end: \(open)")
        }
        if session.queuedPackets == 0, session.queuedBytes != 0 { faults.append("bytes of no packets") }
        if session.isClosed, session.queuedPackets != 0 { faults.append("packets behind the end") }
        if session.webSocket != nil, session.queuedPackets != 0 { faults.append("packets wait beside a WebSocket") }
        if !open.polls.isEmpty, session.queuedPackets != 0 { faults.append("a poll and packets wait for each other") }
    }

    private mutating func arrive(_ payload: EngineIOPayload) {
        var packets: [Bytes] = []
        do throws(WireError) {
            if revision == .one {
                try SocketIO09Payload.decode(payload.body.span) {
                    packets.append($0.encoded())
                    return true
                }
            } else {
                var decoder = EngineIOPayloadDecoder(revision)
                try decoder.decode(payload.body.span) {
                    packets.append(EngineIOPacket.encode($0.kind, $0.data))
                    return true
                }
            }
        } catch {
            faults.append("payload: \(error)")
        }
        if packets.count > EngineIOPayload.maxPackets { faults.append("\(packets.count) packets in a payload") }
        for packet in packets { arrive(packet) }
    }

    private mutating func arrive(_ packet: Bytes) {
        let text = String(decoding: packet, as: UTF8.self)
        let digits =
            text.hasPrefix("42") ? text.dropFirst(14).dropLast(2) : text.hasPrefix("3:::") ? text.dropFirst(4) : ""
        guard let index = Int(digits) else { return }
        if let before = reached.last, index <= before { faults.append("\(index) after \(before)") }
        reached.append(index)
    }

    private static func bodies(_ revision: SocketIORevision) -> [String] {
        switch revision {
        case .one:
            [
                "3:::x", "2::", "2:::", "8::", "0::", "0::/chat", "1::", "nonsense",
                "\u{FFFD}3\u{FFFD}2::\u{FFFD}5\u{FFFD}3:::x",
            ]
        case .four:
            ["1:2", "3:2ab", "2:40", "8:42[\"a\"]x", "8:42[\"a\",1", "1:1", "2:41", "1:3", "2:6x", "nonsense", ""]
        case .five:
            [
                "3", "40", "42[\"message\",\"x\"]\u{1E}3", "2", "1", "41", "41\u{1E}1", "6", "bAQID", "nonsense", "",
                "3\u{1E}3\u{1E}3\u{1E}3\u{1E}3\u{1E}3\u{1E}3\u{1E}3\u{1E}3",
            ]
        }
    }
}
