// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// What each input does in each state, as one table a revision.
@Suite("Engine.IO sessions, state by state")
struct EngineIOSessionTableTests {
    typealias Session = EngineIOSession

    /// The states by name, and how to get there; requests 1 to 9 belong to the way.
    static let states: [(name: String, steps: [String])] = [
        ("new", []), ("polling", ["poll 1"]), ("poll waits", ["poll 1", "poll 2"]),
        ("POST waits", ["poll 1", "begin 3"]), ("probing", ["poll 1", "open 4"]),
        ("probing, poll waits", ["poll 1", "open 4", "poll 2"]),
        ("probed", ["poll 1", "open 4", "say 4 2probe"]),
        ("WebSocket", ["open 5"]), ("upgraded", ["poll 1", "open 4", "say 4 2probe", "say 4 5"]),
        ("closing", ["poll 1", "close"]), ("closed", ["poll 1", "quit 6"]),
    ]

    static let inputs = [
        "poll 10", "lose 2", "begin 10", "post 3 hello", "post 3 close", "post 3 nonsense", "open 10", "say 4 2probe",
        "say 4 5", "say 5 hello", "say 4 nonsense", "drop 4", "drop 5", "send", "close", "quit 10", "wait",
    ]

    static func words(_ revision: SocketIORevision, _ word: String) -> Bytes {
        let words =
            switch revision {
            case .one: ["hello": "3:::hi", "close": "0::"]
            case .four: ["hello": "18:42[\"message\",\"hi\"]", "close": "1:1"]
            case .five: ["hello": "42[\"message\",\"hi\"]", "close": "1"]
            }
        return utf8(words[word] ?? word)
    }

    static func run(_ step: String, _ session: inout Session) -> [Session.Action] {
        let parts = step.split(separator: " ").map(String.init)
        let number = parts.count > 1 ? UInt64(parts[1]) ?? 0 : 0
        let word = parts.count > 2 ? words(session.revision, parts[2]) : []
        switch parts[0] {
        case "poll": return session.pollArrived(number, now: 0)
        case "lose":
            session.requestClosed(number, now: 0)
            return []
        case "begin": return session.postBegan(number)
        case "post": return session.postArrived(number, body: word.span, now: 0)
        case "open": return session.webSocketOpened(number, now: 0)
        case "say":
            // On WebSockets version 3 has no lengths.
            let said = session.revision == .four ? Bytes(word.drop { $0 != 0x3A }.dropFirst()) : word
            return session.webSocketReceived(number, (said.isEmpty ? word : said).span, isText: true, now: 0)
        case "drop": return session.webSocketClosed(number)
        case "send": return session.send(utf8("4x"), now: 0)
        case "close": return session.close(now: 0)
        case "quit": return session.closeRequested(number)
        default: return session.timePassed(now: session.deadline ?? 0)
        }
    }

    static func describe(_ actions: [Session.Action]) -> String {
        actions.map { action in
            switch action {
            case .answer(let number, let payload):
                "answer \(number) \(text(payload.body).replacing("\u{FFFD}", with: "~"))"
            case .accept(let number): "accept \(number)"
            case .refuse(let number, let error): "refuse \(number) \(error.rawValue)"
            case .send(let number, let packet): "send \(number) \(text(packet))"
            case .closeWebSocket(let number): "shut \(number)"
            case .receive(.message(let said)): "receive \(text(said))"
            case .receive(let packet): "receive \(packet)"
            case .end(let reason): "end \(reason)"
            }
        }.joined(separator: ", ")
    }

    /// All that does anything, a line each: `state | input | actions`.
    static func table(_ revision: SocketIORevision) -> String {
        var lines: [String] = []
        for (name, steps) in states {
            for input in inputs {
                var session = Session(revision, greeting: [revision == .one ? utf8("1::") : utf8("0{}")], now: 0)
                for step in steps { _ = run(step, &session) }
                let actions = run(input, &session)
                if !actions.isEmpty { lines.append("\(name) | \(input) | \(describe(actions))") }
            }
        }
        return lines.joined(separator: "\n")
    }

    @Test(arguments: SocketIORevision.allCases)
    func everyStateAndInput(revision: SocketIORevision) {
        let expected =
            switch revision {
            case .one: SessionTables.one
            case .four: SessionTables.four
            case .five: SessionTables.five
            }
        let (found, wanted) = (Self.table(revision).split(separator: "\n"), expected.split(separator: "\n"))
        #expect(found.filter { !wanted.contains($0) } == [])
        #expect(wanted.filter { !found.contains($0) } == [])
    }
}
