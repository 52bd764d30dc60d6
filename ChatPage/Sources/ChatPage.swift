// SPDX-License-Identifier: MIT

import ArgumentParser
import Dispatch
import FlyingFox
import FlyingSocks
import Foundation

/// Serves the chat demo's page over HTTP; the page itself speaks to the gate, never to this process.
@main
struct ChatPage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serves the page of the Chat example.")

    @Option(help: "TCP port to listen on.")
    var port: UInt16 = 3001

    @Option(help: "IPv4 address to listen on.")
    var bind = "127.0.0.1"

    @Option(help: "Client port of the gate server, as the browser reaches it.")
    var gatePort: UInt16 = 3014

    @Option(help: "Host of the gate server; without it, the host the page was loaded from.")
    var gateHost: String?

    func run() async throws {
        do {
            let assets = try Assets(gate: Gate(host: gateHost, port: gatePort))
            try await serve(assets)
        } catch {
            Terminal.error(explain(error))
            throw ExitCode.failure
        }
    }

    private func serve(_ assets: Assets) async throws {
        let address = try listeningAddress()
        let server = HTTPServer(address: address, logger: .disabled, handler: assets)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                try await server.waitUntilListening()
                Terminal.line("up page http://\(bind):\(port)/")
                await stopSignal()
            }
            // The server ends first only by failing, and then the error is what the user must see.
            try await group.next()
            await server.stop(timeout: 1)
            group.cancelAll()
            while await group.nextResult() != nil {}
        }
    }

    private func listeningAddress() throws -> sockaddr_in {
        do {
            return try .inet(ip4: bind, port: port)
        } catch {
            throw ValidationError("'\(bind)' in --bind is not an IPv4 address")
        }
    }

    private func explain(_ error: any Error) -> String {
        switch error {
        case SocketError.failed(_, EADDRINUSE, _):
            "port \(port) is in use: --port gives another (of ./dev up, --page-port)"
        case SocketError.failed(_, EACCES, _): "port \(port) needs more rights than this user has"
        case SocketError.failed(_, _, let message): "cannot listen on \(bind) port \(port): \(message)"
        default: "\(error)"
        }
    }
}

/// Returns when the process is asked to end, by SIGTERM or by Ctrl-C.
private func stopSignal() async {
    let (signals, continuation) = AsyncStream<Void>.makeStream()
    let sources = [SIGTERM, SIGINT].map { number in
        signal(number, SIG_IGN)  // the default action would end the process before the source sees it
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { @Sendable in continuation.yield() }
        source.resume()
        return source
    }
    for await _ in signals { break }
    for source in sources { source.cancel() }
}

/// The two streams of the terminal: facts for programs on stdout, complaints on stderr.
enum Terminal {
    static func line(_ text: String) {
        write("\(text)\n", to: .standardOutput)
    }

    static func error(_ text: String) {
        write("error: \(text)\n", to: .standardError)
    }

    private static func write(_ text: String, to handle: FileHandle) {
        do {
            try handle.write(contentsOf: Data(text.utf8))
        } catch {
            // There is nobody to tell, and a reader that is gone is no reason to end.
        }
    }
}
