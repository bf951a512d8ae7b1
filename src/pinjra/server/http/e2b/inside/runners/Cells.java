// One context of Java: lines of JSON come and go on descriptor 0, which is a socket; code by jshell in this process.
// Variables, methods and classes stay; what a run prints goes to descriptors 1 and 2.

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;

public class Cells {
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.in);
    private static final String[] IMPORTS = {"java.io.*", "java.math.*", "java.util.*", "java.util.function.*", "java.util.stream.*"};

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8));
        JShell shell = JShell.builder().executionEngine("local").build();
        for (String name : IMPORTS) shell.eval("import " + name + ";");
        String line;
        for (int count = 1; (line = in.readLine()) != null; count++) {
            Map<?, ?> request = (Map<?, ?>) new Reader(line).value();
            say("{\"type\":\"begin\",\"count\":" + count + "}");
            run(shell, request);
            say("{\"type\":\"done\"}");
        }
        System.exit(0);
    }

    private static void run(JShell shell, Map<?, ?> request) throws Exception {
        ((Map<?, ?>) request.get("base")).forEach((name, value) -> System.setProperty((String) name, (String) value));
        Map<String, String> before = new HashMap<>();
        for (Map.Entry<?, ?> given : ((Map<?, ?>) request.get("env")).entrySet()) {
            String name = (String) given.getKey();
            before.put(name, System.setProperty(name, (String) given.getValue()));
        }
        try {
            evaluate(shell, (String) request.get("code"));
        } finally {
            before.forEach((name, value) -> {
                if (value == null) System.clearProperty(name);
                else System.setProperty(name, value);
            });
        }
    }

    private static void evaluate(JShell shell, String code) throws Exception {
        String rest = code;
        String value = null;
        while (!rest.isBlank()) {
            SourceCodeAnalysis.CompletionInfo piece = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            String source = piece.completeness().isComplete() ? piece.source() : rest;
            rest = piece.completeness().isComplete() ? piece.remaining() : "";
            for (SnippetEvent event : shell.eval(source)) {
                if (event.exception() != null) {
                    sayFailure(event.exception());
                    return;
                }
                if (event.status() == Snippet.Status.REJECTED) {
                    List<String> words = new ArrayList<>();
                    shell.diagnostics(event.snippet()).forEach(one -> words.add(one.getMessage(null)));
                    sayError("CompilationException", String.join("\n", words), source);
                    return;
                }
                if (event.causeSnippet() == null) value = isExpression(event.snippet()) ? event.value() : null;
            }
        }
        if (value != null && !value.isEmpty()) {
            say("{\"type\":\"result\",\"is_main\":true,\"data\":{\"text/plain\":" + quoted(value) + "}}");
        }
    }

    private static boolean isExpression(Snippet snippet) {
        return snippet.kind() == Snippet.Kind.EXPRESSION || snippet.subKind() == Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND;
    }

    private static void sayFailure(JShellException failure) throws Exception {
        String name = failure instanceof EvalException known ? known.getExceptionClassName() : failure.getClass().getName();
        StringBuilder trace = new StringBuilder(name + ": " + failure.getMessage());
        for (StackTraceElement element : failure.getStackTrace()) trace.append("\n\tat ").append(element);
        sayError(name, String.valueOf(failure.getMessage()), trace.toString());
    }

    private static void sayError(String name, String value, String traceback) throws Exception {
        say("{\"type\":\"error\",\"name\":" + quoted(name) + ",\"value\":" + quoted(value) + ",\"traceback\":" + quoted(traceback) + "}");
    }

    private static void say(String event) throws Exception {
        System.out.flush();
        System.err.flush();
        OUT.write((event + "\n").getBytes(StandardCharsets.UTF_8));
    }

    private static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            if (one == '"' || one == '\\') found.append('\\').append(one);
            else if (one < 0x20 || one > 0x7e) found.append(String.format("\\u%04x", (int) one));
            else found.append(one);
        }
        return found.append('"').toString();
    }

    /** JSON of strings, numbers and objects: all that a request has. */
    private static final class Reader {
        private final String text;
        private int at = 0;

        Reader(String text) {
            this.text = text;
        }

        Object value() {
            skip();
            char first = text.charAt(at);
            if (first == '{') return object();
            if (first == '"') return string();
            throw new IllegalArgumentException("unexpected " + first);
        }

        private Map<String, Object> object() {
            Map<String, Object> found = new LinkedHashMap<>();
            at++;
            skip();
            while (text.charAt(at) != '}') {
                if (text.charAt(at) == ',') at++;
                skip();
                String name = string();
                skip();
                at++;
                found.put(name, value());
                skip();
            }
            at++;
            return found;
        }

        private String string() {
            StringBuilder found = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char one = text.charAt(at);
                if (one != '\\') {
                    found.append(one);
                    continue;
                }
                char next = text.charAt(++at);
                int known = "nrtbf".indexOf(next);
                if (next == 'u') {
                    found.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16));
                    at += 4;
                } else {
                    found.append(known < 0 ? next : "\n\r\t\b\f".charAt(known));
                }
            }
            at++;
            return found.toString();
        }

        private void skip() {
            while (at < text.length() && Character.isWhitespace(text.charAt(at))) at++;
        }
    }
}
