// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloLoop

/// Logs every call to another server under the label `rpc-log`: route, server, microseconds, and how it ended; beyond
/// 1000 in a second only their number.
///
/// - Source: pomelo 2.2.7, lib/filters/rpc/rpcLog.js, where calls that are under way at once share one start time.
@Loop public final class RPCLogFilter: RPCFilter {
    private var log: LimitedLog?
    private var clock: (any LoopClock)?

    /// A filter for one application.
    public init() {}

    /// Takes the application's clock.
    public func install(into application: Application) {
        clock = application.clock
        log = LimitedLog(Logger(label: "rpc-log").lineSafe, application.clock, "call", level: .info, lines: 1000)
    }

    /// Logs the call.
    public func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome {
        guard let clock else { return outcome }
        var metadata: Logger.Metadata = [
            "pomelo.route": "\(request.route.text.forLog)", "pomelo.server": "\(request.server)",
            "pomelo.elapsedUs": "\((clock.now - request.began) / 1000)",
        ]
        if case .failure(let error) = outcome { metadata["error"] = "\(error)" }
        log?.write(metadata)
        return outcome
    }
}

extension RPCFilter where Self == RPCLogFilter {
    /// Logs every call to another server.
    public static func rpcLog() -> RPCLogFilter { RPCLogFilter() }
}
