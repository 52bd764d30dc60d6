// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Points, events and answers: what they are and how they are written.
@Suite struct PointTests {
    @Test(arguments: [
        ("before-send-callback", "BeforeSendCallback", true), ("before-bind", "beforebind", true),
        ("-a-", "A", true), ("bind_session", "bind-session", false), ("é", "É", false), ("e\u{301}", "é", false),
        ("", "-", true),
    ])
    func namesAreComparedWithoutCaseAndHyphens(_ one: String, _ other: String, _ areSame: Bool) {
        #expect((PointName(one) == PointName(other)) == areSame)
        #expect((Set([PointName(one), PointName(other)]).count == 1) == areSame)
        #expect(PointName(one).text == one)
    }

    @Test func ownerAndNameMakeThePoint() {
        let same = ExtensionPoint(owner: "chat", name: "beforeSendCallback", mode: .single, budget: .seconds(9))
        let other = ExtensionPoint(owner: "org-poll", name: "before-send-callback", mode: .chain, budget: .seconds(9))
        #expect(same == .beforeSend && same.hashValue == ExtensionPoint.beforeSend.hashValue)
        #expect(other != .beforeSend)
    }

    @Test func theClustersPointsAreThese() {
        let rows = ExtensionPoint.all.map { point in
            let parts = [
                "\(point)", point.mode.rawValue, "\(point.budget.clampedMilliseconds)", point.onFailure.rawValue,
                point.isCoalesced ? "coalesced" : "", point.keeps.map { "keeps \($0)" } ?? "",
            ]
            return parts.filter { !$0.isEmpty }.joined(separator: " ")
        }
        #expect(
            rows == [
                "chat/before-send-callback chain 150 open", "chat/after-send-callback fanout 5000 open",
                "chat/bind_session fanout 5000 open", "chat/unbind_session fanout 5000 open",
                "chat/close_session fanout 5000 open", "chat/before-bind chain 300 closed",
                "chat/before-join chain 150 open", "chat/after-join fanout 5000 open",
                "chat/after-leave fanout 5000 open", "chat/add_servers fanout 5000 open coalesced",
                "chat/remove_servers fanout 5000 open coalesced", "chat/replace_servers fanout 5000 open coalesced",
                "chat/start_all fanout 5000 open coalesced", "chat/leader_changed fanout 5000 open coalesced",
                "chat/drain fanout 5000 open coalesced", "chat/route single 20 open keeps 1.0 seconds",
            ])
        #expect(ExtensionPoint.all.filter(\.isAsked) == [.beforeSend, .beforeBind, .beforeJoin, .route])
        #expect(Set(ExtensionPoint.all).count == ExtensionPoint.all.count)
    }

    @Test(arguments: [
        (#"{"ret":0}"#, ExtensionAnswer(ret: 0)),
        (#"{"ret":0,"msg":"ok","data":{"body":"x"}}"#, ExtensionAnswer(ret: 0, msg: "ok", data: ["body": "x"])),
        (#"{"ret":1,"data":null}"#, ExtensionAnswer(ret: 1)),
        (#"{"res":{"ret":-3,"msg":"no"},"data":[]}"#, ExtensionAnswer(ret: -3, msg: "no", data: [])),
        (#"{"ret":2.0,"msg":7,"res":{"ret":5}}"#, ExtensionAnswer(ret: 2)),
        (#"{"ret":9223372036854775807}"#, ExtensionAnswer(ret: .max)),
    ])
    func answersAreRead(_ text: String, _ answer: ExtensionAnswer) throws {
        let read = try ExtensionAnswer(try JSON.parse(Bytes(text.utf8)))
        #expect(read == answer)
        #expect(try ExtensionAnswer(answer.json) == answer)
    }

    @Test(arguments: [
        "null", "[]", "0", "{}", #"{"ret":"0"}"#, #"{"ret":0.5}"#, #"{"ret":1e300}"#, #"{"ret":18446744073709551615}"#,
        #"{"res":{"msg":"ok"}}"#, #"{"res":0}"#, #"{"ret":null,"res":{"ret":0}}"#,
    ])
    func whatIsNoAnswerIsNotRead(_ text: String) throws {
        let json = try JSON.parse(Bytes(text.utf8))
        #expect(throws: ExtensionFailure.self) { try ExtensionAnswer(json) }
    }

    @Test func answersAreWritten() {
        #expect(ExtensionAnswer.ok.json.description == #"{"ret":0,"msg":"ok"}"#)
        #expect(ExtensionAnswer.drop.json.description == #"{"ret":1,"msg":""}"#)
        #expect(ExtensionAnswer.refuse("no").json.description == #"{"ret":-1,"msg":"no"}"#)
        #expect(ExtensionAnswer.replace(["a": 1]).json.description == #"{"ret":0,"msg":"ok","data":{"a":1}}"#)
    }

    @Test @Loop func eventsAreWrittenWithTheirPlaceAndTime() async throws {
        let world = try ExtensionWorld()
        let seen = world.implementer("all", of: .seen) { _ in .answer(.ok) }
        for number in 1...200 { world.extensions.tell(.seen, .init(number), key: "\(number)") }
        await world.pass(.milliseconds(5))
        let event = try #require(seen.events.first)
        #expect(
            event.json.description
                == #"{"event":"seen","id":"\#(event.id)","ts":1700000000000,"server_id":"chat-1","data":1}"#)
        let ids = seen.events.map(\.id)
        #expect(Set(ids).count == 200)
        let form = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
        #expect(ids.allSatisfy { $0.wholeMatch(of: form) != nil }, "\(ids.prefix(3))")
    }
}
