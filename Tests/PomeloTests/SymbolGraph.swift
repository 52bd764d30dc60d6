// SPDX-License-Identifier: MIT
import Foundation

/// What a module offers, as the compiler tells it.
enum SymbolGraph {
    struct Failure: Error { let message: String }

    private struct Graph: Decodable {
        struct Symbol: Decodable { let pathComponents: [String] }
        let symbols: [Symbol]
    }

    /// Paths of a module's public symbols, such as `Channel/add(_:_:)`.
    static func symbols(of module: String, with reexported: [String] = []) throws -> Set<String> {
        let output = NSTemporaryDirectory() + "pomelo-symbols-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: output) }
        try extract(module, with: reexported, into: output)
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(output)/\(module).symbols.json"))
        return Set(
            try JSONDecoder().decode(Graph.self, from: data).symbols.map { $0.pathComponents.joined(separator: "/") })
    }

    /// Writes the graph of a module, and of those it exports again, into a new folder.
    static func extract(_ module: String, with reexported: [String], into output: String) throws {
        let build = try buildFolder()
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        var arguments = [
            "swift", "symbolgraph-extract", "-module-name", module, "-target", "x86_64-unknown-linux-gnu",
            "-I", "\(build)/Modules", "-minimum-access-level", "public", "-output-dir", output,
            "-skip-synthesized-members",
        ]
        let maps =
            ["\(build)/CPomelo.build/module.modulemap"]
            + ["CLibuv", "CHiredis", "CZlib", "COpenSSL"].map {
                "\(root)/Sources/\($0)/module.modulemap"
            }
        for map in maps { arguments += ["-Xcc", "-fmodule-map-file=\(map)"] }
        if !reexported.isEmpty {
            arguments.append("-experimental-allowed-reexported-modules=" + reexported.joined(separator: ","))
        }
        #if arch(arm64)
            arguments[5] = "aarch64-unknown-linux-gnu"
        #endif
        let tool = try Tool.run(arguments)
        guard tool.status == 0 else { throw Failure(message: "symbolgraph-extract of \(module): \(tool.output)") }
    }

    /// Where the modules of this very build are: beside the program that runs these tests.
    private static func buildFolder() throws -> String {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        for _ in 0..<4 {
            if FileManager.default.fileExists(atPath: folder.path + "/Modules/Pomelo.swiftmodule") {
                return folder.path
            }
            folder.deleteLastPathComponent()
        }
        throw Failure(message: "no modules beside \(CommandLine.arguments[0])")
    }
}

/// A program of the toolchain.
enum Tool {
    static func run(_ command: String...) throws -> (status: Int32, output: String) { try run(command) }

    static func run(_ command: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
