// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

private let second: UInt64 = 1_000_000_000

/// Conversations as real clients have them.
@Suite("Engine.IO sessions, client by client")
struct EngineIOSessionTests {
    private func session(_ revision: SocketIORevision, _ greeting: [String]) -> EngineIOSession {
        EngineIOSession(revision, greeting: greeting.map { utf8($0) }, now: 0)
    }

    private func said(_ actions: [EngineIOSession.Action]) -> String {
        EngineIOSessionTableTests.describe(actions)
    }

    /// Told `1` or `41`, python-socketio 5 would not come back to a server that starts again.
    @Test func anAbandonedClientIsToldNothing() {
        var polling = session(.five, ["0{}"])
        _ = polling.pollArrived(1, now: 0)
        polling.answerWritten(1)
        _ = polling.pollArrived(2, now: 0)
        #expect(said(polling.abandon()) == "answer 2 6, end serverClosed")
        #expect(said(polling.abandon()) == "")

        var socket = session(.five, ["0{}"])
        _ = socket.webSocketOpened(1, now: 0)
        #expect(said(socket.abandon()) == "shut 1, end serverClosed")
    }

    /// socket.io-client 4.7.5 posts `40`, opens the WebSocket and polls at once, and polls again before `5`.
    @Test func javaScriptUpgrades() {
        var session = session(.five, ["0{}"])
        #expect(said(session.pollArrived(1, now: 0)) == "answer 1 0{}")
        session.answerWritten(1)
        #expect(said(session.postBegan(2)) == "")
        #expect(
            said(session.postArrived(2, body: utf8("40").span, now: 0)) == "accept 2, receive connect(namespace: \"\")")
        #expect(said(session.webSocketOpened(3, now: 0)) == "")
        #expect(said(session.send(utf8("40{\"sid\":\"s\"}"), now: 0)) == "")
        #expect(said(session.pollArrived(4, now: 0)) == "answer 4 40{\"sid\":\"s\"}")
        session.answerWritten(4)
        #expect(said(session.pollArrived(5, now: 0)) == "")
        #expect(
            said(session.webSocketReceived(3, utf8("2probe").span, isText: true, now: 0)) == "send 3 3probe, answer 5 6"
        )
        session.answerWritten(5)
        #expect(said(session.pollArrived(6, now: 0)) == "answer 6 6")
        #expect(said(session.send(utf8("4x"), now: 0)) == "")
        #expect(said(session.webSocketReceived(3, utf8("5").span, isText: true, now: 0)) == "send 3 4x")
        #expect(session.webSocket == 3)
        #expect(said(session.webSocketReceived(3, utf8("41").span, isText: true, now: 0)) == "shut 3, end clientClosed")
    }

    /// python-socketio 5.18.1 has no poll while it upgrades, and sends `40` behind it.
    @Test func pythonUpgrades() {
        var session = session(.five, ["0{}"])
        _ = session.pollArrived(1, now: 0)
        session.answerWritten(1)
        #expect(said(session.webSocketOpened(2, now: 0)) == "")
        #expect(said(session.webSocketReceived(2, utf8("2probe").span, isText: true, now: 0)) == "send 2 3probe")
        #expect(said(session.webSocketReceived(2, utf8("5").span, isText: true, now: 0)) == "")
        #expect(
            said(session.webSocketReceived(2, utf8("40{}").span, isText: true, now: 0))
                == "receive connect(namespace: \"\")")
        #expect(
            said(session.webSocketReceived(2, hex("01").span, isText: false, now: 0))
                == "receive foreign(PomeloWire.SocketIOPacket.Foreign.binary)")
    }

    /// python-socketio 4.6.1 pings at once, in binary framing, and leaves with two packets in one POST.
    @Test func pythonOfVersion3() {
        var session = session(.four, ["0{}", "40"])
        #expect(said(session.pollArrived(1, now: 0)) == "answer 1 3:0{}2:40")
        session.answerWritten(1)
        #expect(said(session.pollArrived(2, now: 0)) == "")
        _ = session.postBegan(3)
        #expect(said(session.postArrived(3, body: hex("0001ff32").span, now: 0)) == "accept 3, answer 2 1:3")
        _ = session.pollArrived(4, now: 0)
        _ = session.postBegan(5)
        let leave = hex("0002ff34310001ff31")
        #expect(said(session.postArrived(5, body: leave.span, now: 0)) == "accept 5, answer 4 1:6, end clientClosed")
        #expect(said(session.postBegan(6)) == "refuse 6 1")
    }

    /// socketIO-client 0.5.7.2 gives up its poll to post, and the answer is for the next poll.
    @Test func givenUpPolls() {
        var session = session(.one, ["1::"])
        #expect(said(session.pollArrived(1, now: 0)) == "answer 1 1::")
        session.answerWritten(1)
        _ = session.pollArrived(2, now: 0)
        session.requestClosed(2, now: 0)
        _ = session.postBegan(3)
        #expect(said(session.postArrived(3, body: utf8("3:::a").span, now: 0)) == "accept 3, receive a")
        #expect(said(session.send(utf8("3:::1"), now: 0)) == "")
        #expect(said(session.send(utf8("3:::2"), now: 0)) == "")
        let framed = "~5~3:::1~5~3:::2"
        #expect(said(session.pollArrived(4, now: 0)) == "answer 4 \(framed)")
        // The connection broke before the answer was written.
        session.requestClosed(4, now: 0)
        #expect(session.queuedPackets == 2)
        #expect(session.queuedBytes == 10)
        #expect(said(session.pollArrived(5, now: 0)) == "answer 5 \(framed)")
        session.answerWritten(5)
        session.requestClosed(5, now: 0)
        #expect(session.queuedPackets == 0)
    }

    /// A client that asks again, or upgrades, has what it was told before, whatever its old connection does.
    @Test func whoAsksAgainHasTheLastAnswer() {
        var polling = session(.five, ["0{}"])
        #expect(said(polling.pollArrived(1, now: 0)) == "answer 1 0{}")
        #expect(said(polling.pollArrived(2, now: 0)) == "")
        polling.requestClosed(1, now: 0)
        #expect(polling.queuedPackets == 0)
        #expect(said(polling.send(utf8("4x"), now: 0)) == "answer 2 4x")
        #expect(said(polling.webSocketOpened(3, now: 0)) == "")
        #expect(said(polling.webSocketReceived(3, utf8("5").span, isText: true, now: 0)) == "")
        polling.requestClosed(2, now: 0)
        #expect(polling.queuedPackets == 0)
    }

    /// The body of a POST that was on its way when the connection broke counts no more.
    @Test func brokenPosts() {
        var polling = session(.five, ["0{}"])
        _ = polling.pollArrived(1, now: 0)
        _ = polling.postBegan(2)
        polling.requestClosed(2, now: 0)
        #expect(said(polling.postArrived(2, body: utf8("41").span, now: 0)) == "")
        #expect(said(polling.postBegan(3)) == "")
        #expect(said(polling.postArrived(3, body: utf8("41").span, now: 0)) == "accept 3, end clientClosed")
    }

    @Test func sixteenPacketsAPayload() {
        var session = session(.five, [])
        for index in 0..<40 { _ = session.send(utf8("4\(index)"), now: 0) }
        for (number, range) in [(UInt64(1), 0..<16), (2, 16..<32), (3, 32..<40)] {
            let expected = range.map { "4\($0)" }.joined(separator: "\u{1E}")
            #expect(said(session.pollArrived(number, now: 0)) == "answer \(number) \(expected)")
        }
    }

    @Test func asksForSignsOfLife() {
        // Version 4: a ping each interval; the answer, or any packet, puts the next one off.
        var five = session(.five, [])
        _ = five.webSocketOpened(1, now: 0)
        #expect(five.deadline == 25 * second)
        #expect(said(five.timePassed(now: 25 * second - 1)) == "")
        #expect(said(five.timePassed(now: 25 * second)) == "send 1 2")
        #expect(five.deadline == 45 * second)
        #expect(said(five.webSocketReceived(1, utf8("3").span, isText: true, now: 30 * second)) == "")
        #expect(five.deadline == 55 * second)
        #expect(said(five.timePassed(now: 55 * second)) == "send 1 2")
        #expect(said(five.timePassed(now: 75 * second)) == "shut 1, end silent")
        #expect(five.deadline == nil)
        // Version 3: the client pings, and its data comes back.
        var four = session(.four, [])
        _ = four.webSocketOpened(1, now: 0)
        #expect(said(four.webSocketReceived(1, utf8("2x").span, isText: true, now: 40 * second)) == "send 1 3x")
        #expect(said(four.timePassed(now: 85 * second)) == "shut 1, end silent")
        // 0.9: the server's heartbeats, and `2:::` or anything else from the client.
        var one = session(.one, [])
        _ = one.webSocketOpened(1, now: 0)
        #expect(said(one.webSocketReceived(1, utf8("2:::").span, isText: true, now: 15 * second)) == "")
        #expect(said(one.timePassed(now: 25 * second)) == "send 1 2::")
        #expect(said(one.timePassed(now: 35 * second)) == "shut 1, end silent")
    }

    @Test func withoutHeartbeats() {
        var options = EngineIOSession.Options()
        options.pingInterval = nil
        for revision in SocketIORevision.allCases {
            var session = EngineIOSession(revision, options: options, greeting: [], now: 0)
            _ = session.webSocketOpened(1, now: 0)
            #expect(session.deadline == nil)
        }
        // A poll of 0.9 is not left to be cut on the way, and a client that stays away is given up.
        var one = EngineIOSession(.one, options: options, greeting: [], now: 0)
        _ = one.pollArrived(1, now: 0)
        #expect(said(one.timePassed(now: 20 * second)) == "answer 1 8::")
        #expect(one.deadline == 80 * second)
        #expect(said(one.timePassed(now: 80 * second)) == "end absent")
    }

    @Test func anUpgradeTakesNotForever() {
        var session = session(.four, [])
        _ = session.pollArrived(1, now: 0)
        _ = session.webSocketOpened(2, now: second)
        #expect(session.deadline == 11 * second)
        #expect(said(session.timePassed(now: 11 * second)) == "shut 2")
        #expect(said(session.webSocketOpened(3, now: 12 * second)) == "")
        #expect(said(session.webSocketClosed(3)) == "")
        #expect(said(session.send(utf8("4x"), now: 12 * second)) == "answer 1 2:4x")
    }

    /// A client that polls in a tight loop while it upgrades is slowed down.
    @Test func noopsAreBounded() {
        var session = session(.five, [])
        _ = session.pollArrived(1, now: 0)
        _ = session.webSocketOpened(2, now: 0)
        _ = session.webSocketReceived(2, utf8("2probe").span, isText: true, now: 0)
        for number in 10..<13 as Range<UInt64> {
            #expect(said(session.pollArrived(number, now: 0)) == "answer \(number) 6")
        }
        #expect(said(session.pollArrived(13, now: 0)) == "")
        #expect(session.deadline == second / 10)
        #expect(said(session.timePassed(now: second / 10)) == "answer 13 6")
    }

    @Test func closesBehindWhatWasSent() {
        var polling = session(.five, [])
        _ = polling.pollArrived(1, now: 0)
        _ = polling.send(utf8("4a"), now: 0)
        _ = polling.send(utf8("41"), now: 0)
        #expect(said(polling.close(now: 0)) == "")
        #expect(polling.isClosing)
        #expect(said(polling.send(utf8("4b"), now: 0)) == "")
        #expect(said(polling.pollArrived(2, now: 0)) == "answer 2 41\u{1E}1, end serverClosed")
        #expect(said(polling.close(now: 0)) == "")
        // Nobody comes to fetch it.
        var left = session(.one, [])
        _ = left.pollArrived(1, now: 0)
        left.requestClosed(1, now: 0)
        _ = left.send(SocketIOPacket.disconnected(.one), now: 0)
        #expect(said(left.close(now: 0)) == "")
        #expect(said(left.timePassed(now: 60 * second)) == "end serverClosed")
        // The client of 0.9 that goes on polling behind the end is refused each time.
        #expect(said(left.pollArrived(2, now: 0)) == "refuse 2 1")
    }

    @Test func dropsForSlowReaders() {
        var session = session(.five, ["0{}"])
        for index in 0..<5 { _ = session.send(utf8("4\(index)"), topic: Text(index < 3 ? "a" : "b"), now: 0) }
        _ = session.send(utf8("49"), now: 0)
        #expect(session.queuedBytes == 15)
        #expect(session.dropOldest(downTo: 13) == 1)
        #expect(session.drop(topic: Text("a")) == 2)
        #expect(session.queuedPackets == 4 && session.queuedBytes == 9)
        #expect(said(session.pollArrived(1, now: 0)) == "answer 1 0{}\u{1E}43\u{1E}44\u{1E}49")
        _ = session.send(utf8("4x"), now: 0)
        #expect(session.dropOldest(downTo: 0) == 0)
        #expect(session.drop(topic: Text("b")) == 0)
    }

    @Test func wrongWords() {
        // Pings go one way in each version.
        var five = session(.five, [])
        _ = five.webSocketOpened(1, now: 0)
        #expect(said(five.webSocketReceived(1, utf8("2").span, isText: true, now: 0)) == "shut 1, end malformed")
        var four = session(.four, [])
        _ = four.webSocketOpened(1, now: 0)
        #expect(said(four.webSocketReceived(1, utf8("3").span, isText: true, now: 0)) == "shut 1, end malformed")
        // What is broken above Engine.IO is counted, not punished.
        var six = session(.five, [])
        _ = six.webSocketOpened(1, now: 0)
        #expect(said(six.webSocketReceived(1, utf8("42{").span, isText: true, now: 0)).contains("Foreign.malformed"))
        // Numbers that mean nothing here do nothing.
        #expect(said(six.webSocketReceived(9, utf8("42{").span, isText: true, now: 0)) == "")
        #expect(said(six.webSocketClosed(9)) == "")
        #expect(said(six.postArrived(9, body: utf8("2").span, now: 0)) == "")
    }
}
