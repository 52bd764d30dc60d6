// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Chat servers that stand still while their users go on writing.
@Suite(.serialized) struct LateTests {
    /// One user's messages, numbered, and what became of each.
    @Loop private final class Writer {
        private let client: TestClient
        private var answers: [Int: String] = [:]
        private(set) var count = 0

        init(_ client: TestClient) {
            self.client = client
            client.patience = .seconds(40)
        }

        /// Sends the next message, and waits for nothing.
        func send() throws {
            count += 1
            let number = count
            let id = try client.ask("chat.chatHandler.send", Array(#"{"content":\#(number),"target":"*"}"#.utf8))
            Loop.spawn {
                do {
                    self.answers[number] = String(decoding: try await self.client.answer(to: id), as: UTF8.self)
                } catch {
                    self.answers[number] = "\(error)"
                }
            }
        }

        var isAnswered: Bool { answers.count == count }
        var refused: [Int] { answers.filter { $0.value != "{}" }.keys.sorted() }
        var accepted: [Int] { answers.filter { $0.value == "{}" }.keys.sorted() }
    }

    /// What a sender was told has failed is not delivered seconds later, behind its newer messages.
    @Test @Loop func aStoppedChatServerDeliversNothingLateOrOutOfOrder() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let writer = Writer(try await chat.enter("ann", "hall", at: "connector-server-1"))
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        let clock = SystemClock.shared
        let start = clock.now
        let send: @Loop (Duration) async throws -> Void = { until in
            while clock.now < start + until.clampedNanoseconds {
                try writer.send()
                await clock.sleep(for: .milliseconds(40))
            }
        }
        let servers = ["chat-server-1", "chat-server-2"]
        try await send(.seconds(1))
        for id in servers { try await chat[id].freeze() }
        try await send(.seconds(7))
        // However long it takes to be noticed.
        try await eventually("messages are refused", within: .seconds(20), every: .milliseconds(40)) {
            try writer.send()
            return writer.refused.count > 30
        }
        // One that was run just before the stop has arrived, and its answer has not.
        let refusedBefore = Set(writer.refused).subtracting(try delivered(bob))
        for id in servers { chat[id].thaw() }
        try await send(.nanoseconds(Int64(clock.now - start)) + .seconds(3))
        try await eventually("all are answered", within: .seconds(35)) { writer.isAnswered }
        try await eventually("a newer message arrives", within: .seconds(10)) {
            try writer.send()
            await clock.sleep(for: .milliseconds(100))
            return try delivered(bob).contains { $0 > writer.count - 5 }
        }
        let numbers = try delivered(bob)
        #expect(numbers == Array(Set(numbers)).sorted(), "each once and in order: \(numbers)")
        #expect(refusedBefore.count > 20 && refusedBefore.isDisjoint(with: numbers))
        #expect(Set(writer.accepted).subtracting(numbers).filter { $0 <= writer.count - 5 } == [])
        for id in servers { #expect(chat[id].status == nil) }
        try await chat.stop()
    }

    /// The numbers of the messages that arrived, in their order.
    @Loop private func delivered(_ client: TestClient) throws -> [Int] {
        try client.pushes.filter { $0.route == "onChat" }.compactMap {
            try JSON.parse($0.body)["msg"]?.int.map(Int.init)
        }
    }
}
