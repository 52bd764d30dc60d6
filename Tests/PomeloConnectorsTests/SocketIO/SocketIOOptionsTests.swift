// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import Synchronization
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What the connector is told, in the words of the tutorial and of later templates.
@Loop @Suite struct SocketIOOptionsTests {
    @Test(arguments: [
        (60.0, Duration.seconds(60)), (999, .seconds(999)), (1000, .seconds(1)), (25_000, .seconds(25)),
        (0.5, .milliseconds(500)),
    ])
    func numbersBelowAThousandAreSeconds(_ number: Double, _ time: Duration) {
        #expect(SocketIOOptions.time(number) == time)
    }

    private func start(_ change: (inout SocketIOOptions) -> Void, _ logger: Logger = Logger(label: "test")) throws
        -> SocketIOProtocol
    {
        var options = SocketIOOptions()
        change(&options)
        let clock = ManualClock()
        return try SocketIOProtocol(
            options, host: FakeHost(),
            ConnectorContext(
                network: MemoryNetwork(clock: clock).endpoint("server"), clock: clock, random: RandomSource(seed: 1),
                address: SocketAddress(host: "127.0.0.1", port: 0)), logger)
    }

    @Test(arguments: [["flashsocket"], ["htmlfile", "jsonp-polling"], ["webrtc", "polling"], []])
    func transportsOfWhichNoneIsOfferedDoNotStart(_ transports: [String]) throws {
        #expect(throws: PomeloError.self) { _ = try start { $0.transports = transports } }
    }

    @Test func whatIsNotOfferedIsWarnedOfOnce() throws {
        let log = Lines()
        let service = try start(
            { $0.transports = ["websocket", "htmlfile", "jsonp-polling", "flashsocket", "xhr-polling"] },
            Logger(label: "test") { _ in Recorder(log: log) })
        #expect(service.rules.webSocket && service.rules.polling)
        let lines = log.lines.withLock { $0 }
        #expect(lines.filter { $0.hasPrefix("warning") } == ["warning transports are not offered"])
        #expect(lines.contains("info socket.io times"))
    }

    @Test func onlyWhatIsListedIsOffered() throws {
        var options = SocketIOOptions()
        options.transports = ["websocket"]
        let wired = try SocketIOWired(options)
        #expect(try wired.line().get("/socket.io/?EIO=4&transport=polling").status == 400)
        let begun = try wired.line().get("/socket.io/1/")
        #expect(begun.text.hasSuffix(":60:60:websocket"))
        let sid = begun.text.prefix { $0 != ":" }
        #expect(try wired.line().get("/socket.io/1/xhr-polling/\(sid)").status != 200)
        #expect(try wired.line().get("/socket.io/1//\(sid)").status != 200)
        let line = wired.line()
        line.upgrade("/socket.io/?EIO=4&transport=websocket")
        #expect(try line.frames().first?.contains("\"upgrades\":[]") == true)
        options.transports = ["polling"]
        let other = try SocketIOWired(options)
        let refused = other.line()
        refused.upgrade("/socket.io/?EIO=4&transport=websocket")
        #expect(try refused.answers().map(\.status) == [400])
        #expect(try other.line().get("/socket.io/?EIO=4&transport=polling").text.contains("\"upgrades\":[]"))
    }

    @Test func clientsAreToldTheTimes() throws {
        var options = SocketIOOptions()
        options.heartbeatInterval = SocketIOOptions.time(7)
        options.heartbeatTimeout = SocketIOOptions.time(9000)
        options.closeTimeout = SocketIOOptions.time(1500)
        let wired = try SocketIOWired(options)
        let text = try wired.line().get("/socket.io/?EIO=4&transport=polling").text
        #expect(text.contains("\"pingInterval\":7000,\"pingTimeout\":9000,\"maxPayload\":1048576"))
        #expect(try wired.line().get("/socket.io/1/").text.hasSuffix(":9:2:websocket,xhr-polling"))
        options.heartbeats = false
        let silent = try SocketIOWired(options)
        #expect(try silent.line().get("/socket.io/1/").text.hasSuffix(":1000000:2:websocket,xhr-polling"))
    }
}

private final class Lines: Sendable {
    let lines = Mutex<[String]>([])
}

private struct Recorder: LogHandler {
    let log: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        log.lines.withLock { $0.append("\(event.level) \(event.message)") }
    }
}
