// SPDX-License-Identifier: MIT

/// Every bound and deadline of an application's core.
public struct Limits: Sendable {
    /// A client's request is answered within this time.
    public var clientRequest = Duration.seconds(30)
    /// A call to a session's frontend: bind, push of settings, kick.
    public var sessionCall = Duration.seconds(2)
    /// A push, add or leave at another server.
    public var pushCall = Duration.seconds(2)
    /// From this many unanswered requests of one session its socket is not read.
    public var requestsInFlight = 64
    /// From this many bytes in unanswered requests of one session its socket is not read.
    public var requestBytesInFlight = 1024 * 1024
    /// Requests that were read already are refused from this number on.
    public var requestsInFlightHard = 1024
    /// The same by their bytes.
    public var requestBytesInFlightHard = 16 * 1024 * 1024
    /// Each step of a start: one component's hook, a port.
    public var startStep = Duration.seconds(60)
    /// What a frontend that stops waits for the requests that it has begun; whoever is not answered then is cut off.
    public var drain = Duration.seconds(10)
    /// Each step of a stop: one component's hook, the client port, the RPC port.
    public var stopPhase = Duration.seconds(10)

    /// The defaults written at each property.
    public init() {}
}

extension Limits: FileOptions {
    /// `limits.json`.
    public static var fileName: String { "limits" }

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        let requests = 1...1 << 20
        let bytes = 1024...1 << 30
        clientRequest = try reader.seconds("clientRequestSeconds") ?? clientRequest
        sessionCall = try reader.seconds("sessionCallSeconds") ?? sessionCall
        pushCall = try reader.seconds("pushCallSeconds") ?? pushCall
        requestsInFlight = try reader.int("requestsInFlight", in: requests) ?? requestsInFlight
        requestsInFlightHard = try reader.int("requestsInFlightHard", in: requests) ?? requestsInFlightHard
        requestBytesInFlight = try reader.int("requestBytesInFlight", in: bytes) ?? requestBytesInFlight
        requestBytesInFlightHard = try reader.int("requestBytesInFlightHard", in: bytes) ?? requestBytesInFlightHard
        startStep = try reader.seconds("startStepSeconds") ?? startStep
        drain = try reader.seconds("drainSeconds") ?? drain
        stopPhase = try reader.seconds("stopPhaseSeconds") ?? stopPhase
    }
}
