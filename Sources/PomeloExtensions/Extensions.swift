// SPDX-License-Identifier: MIT
//
// PomeloExtensions: where plugins take part in what servers do.
// Reading order: Extensions, PointName, ExtensionPoint, +Cluster, ExtensionEvent, ExtensionAnswer, ExtensionVerdict,
// Implementer, ExtensionService; how questions wait and are answered: AskPlace, AskQueue, Asking, CallSlots,
// KeptAnswers; how events are told: ToldLine; ExtensionMeters; what the application brings along: ExtensionBridge,
// BindGate, ExtensionRoute.
public import PomeloCore
import PomeloLoop

/// The plugin: gives an application its `extensions`.
///
/// ```swift
/// try app.use(Extensions())
/// app.extensions.implement(.beforeJoin, as: "members-only") { event in … }
/// ```
public struct Extensions: Plugin {
    /// `extensions`.
    public let name = "extensions"

    /// Without options.
    public init() {}

    /// Makes the service, unless the application has it already.
    public func install(into application: Application, _: inout PluginOptions) throws { _ = application.extensions }
}

extension Application {
    /// Where plugins take part in what this server does; made when it is first used.
    ///
    /// From then on the application's events are told, a stop tells `drain` before anything is stopped, and every
    /// binding at a frontend asks `before-bind` ahead of the `BindAuthority` there is when the start begins.
    public var extensions: ExtensionService {
        if let service = service(ExtensionService.self) { return service }
        let service = ExtensionService(context)
        setService(service)
        let bridge = ExtensionBridge(service, context)
        listen(bridge)
        beforeShutdown { bridge.drain() }
        guard isFrontend else { return service }
        let gate: @Loop @Sendable () -> Void = { [sessionService, serverID] in
            sessionService.authority = BindGate(service, serverID, before: sessionService.authority)
        }
        if state == .created { beforeStartup { gate() } } else { gate() }
        return service
    }
}
