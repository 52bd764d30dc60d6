// SPDX-License-Identifier: MIT
#if Keel
    import Foundation
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// "Write a plugin in any language" does what it says.
        @Suite struct PluginArticleTests {
            private static let mark = "the next answers"
            @Loop private static var file: String {
                ServerProcesses.root() + "/Sources/Pomelo/Pomelo.docc/Write-a-plugin-in-any-language.md"
            }
            /// What another run has another of.
            private static let ownOfARun: Set<Text> = ["secret", "access_token", "registered_at"]

            private struct Article {
                var commands: [String] = []
                /// Those of the commands at the same place.
                var answers: [[String]] = []
                var programs: [String] = []

                @Loop init() throws {
                    var block: (language: String, lines: [String])?
                    for line in try String(contentsOfFile: file, encoding: .utf8).components(separatedBy: "\n") {
                        guard line.hasPrefix("```") else {
                            block?.lines.append(line)
                            continue
                        }
                        guard let ended = block else {
                            block = (String(line.dropFirst(3)), [])
                            continue
                        }
                        block = nil
                        switch ended.language {
                        case "bash": commands.append(ended.lines.joined(separator: "\n"))
                        case "text": answers.append(ended.lines)
                        default: programs.append(ended.lines.joined(separator: "\n"))
                        }
                    }
                }
            }

            @Test @Loop func everyCommandOfTheArticleIsAnsweredAsItSays() async throws {
                let article = try Article()
                #expect(article.commands.count >= 10 && article.commands.count == article.answers.count)
                let world = try await KeelWorld.start(["chat-server-1"])
                let ports = [
                    "3500": world.ports["chat-server-1"] ?? 0, "8091": try await TestPorts.next(),
                    "8092": try await TestPorts.next(), "8093": try await TestPorts.next(),
                ]
                let program = "\(world.chat.folder)/plugin.py"
                try Data(article.programs[0].utf8).write(to: URL(fileURLWithPath: program))
                let heard = try await Self.run(article.commands, ports, world)
                #expect(heard.count == article.answers.count, "\(heard)")
                for (place, (said, answered)) in zip(article.answers, heard).enumerated() {
                    #expect(
                        said.map(Self.comparable) == answered.map(Self.comparable),
                        "\(article.commands[place])\n\(answered.joined(separator: "\n"))")
                }
                try await world.stop()
            }

            /// In one shell, as somebody types them; what comes of each block.
            @Loop private static func run(
                _ commands: [String], _ ports: [String: Int], _ world: KeelWorld
            ) async throws -> [[String]] {
                // Answers end without a line's end, which a terminal does not mind.
                var script = "trap 'kill $(jobs -p)' EXIT\ncurl() { command curl \"$@\"; echo; }\n"
                script += commands.joined(separator: "\necho '\(mark)'\n") + "\n"
                for (port, own) in ports { script = script.replacing(try Regex("\\b\(port)\\b"), with: "\(own)") }
                for file in ["plugin.py", "plugin.log", "hello.json", "token.json"] {
                    script = script.replacing(file, with: "\(world.chat.folder)/\(file)")
                }
                let result = try await ChildProcess.run(
                    .init(
                        "/usr/bin/setpriv", ["--pdeathsig", "TERM", "bash", "-c", script],
                        environment: ["POMELO_KEEL_BOOTSTRAP": KeelWorld.bootstrap],
                        directory: ServerProcesses.root()))
                let lines = try result.lines.map { line in
                    try ports.reduce(line) { $0.replacing(try Regex("\\b\($1.value)\\b"), with: $1.key) }
                }
                return lines.split(separator: mark, omittingEmptySubsequences: false)
                    .map { block in block.filter { !$0.isEmpty } }
            }

            /// Without what is a run's own; JSON as this program writes it.
            private static func comparable(_ line: String) -> String {
                do { return without(try JSON.parse(Bytes(line.utf8))).description } catch { return line }
            }

            private static func without(_ value: JSON) -> JSON {
                switch value {
                case .array(let items): return .array(items.map(without))
                case .object(var object):
                    for key in object.keys {
                        object[key] = ownOfARun.contains(Text(key)) ? "…" : object[key].map(without)
                    }
                    return .object(object)
                default: return value
                }
            }

            /// What it shows of the example is in the example.
            @Test @Loop func theExcerptIsTheExamples() throws {
                let article = try Article()
                let example = ServerProcesses.root() + "/Examples/moderation/moderation.py"
                let text = try String(contentsOfFile: example, encoding: .utf8)
                #expect(article.programs.count == 2 && text.contains(article.programs[1]))
            }
        }
    }
#endif
