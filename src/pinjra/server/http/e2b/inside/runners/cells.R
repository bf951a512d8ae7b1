# One context of R: lines of JSON on the descriptor that the first argument names (and on 0), each line of code by eval.
# Variables stay; what a run prints goes to descriptors 1 and 2. JSON is read by Python, as bash does it.
local({
  # by bash: other shells know descriptors of one digit
  answers <- pipe(paste0("exec bash -c 'exec cat >&", commandArgs(TRUE)[1], "'"), "w")
  requests <- file("stdin", "r")
  count <- 0
  reader <- "
import json, sys
said = json.load(sys.stdin)
for kind, values in (('code', {'code': said['code']}), ('base', said['base']), ('env', said['env'])):
    for name, value in values.items():
        print(kind, *(text.encode().hex() or '-' for text in (name, value)))
"
  say <- function(...) {
    cat("{", paste0(..., collapse = ""), "}\n", sep = "", file = answers)
    flush(answers)
  }
  text <- function(value) {
    value <- enc2utf8(paste(value, collapse = "\n"))
    for (pair in list(c("\\", "\\\\"), c("\"", "\\\""), c("\n", "\\n"), c("\r", "\\r"), c("\t", "\\t"))) {
      value <- gsub(pair[1], pair[2], value, fixed = TRUE)
    }
    paste0("\"", gsub("[\001-\037]", " ", value, perl = TRUE), "\"")
  }
  plain <- function(hex) {
    if (hex == "-") return("")
    at <- seq(1, nchar(hex), 2)
    found <- rawToChar(as.raw(strtoi(substring(hex, at, at + 1), 16L)))
    Encoding(found) <- "UTF-8"
    found
  }
  read <- function(line) {
    rows <- system2(Sys.getenv("PINJRA_PYTHON"), c("-S", "-c", shQuote(reader)), input = line, stdout = TRUE)
    found <- list(code = list(), base = list(), env = list())
    for (row in strsplit(rows, " ", fixed = TRUE)) found[[row[1]]][[plain(row[2])]] <- plain(row[3])
    found
  }
  run <- function(code) {
    parts <- parse(text = code, keep.source = FALSE)
    for (number in seq_along(parts)) {
      done <- withVisible(eval(parts[[number]], globalenv()))
      if (done$visible) {
        shown <- text(utils::capture.output(print(done$value)))
        main <- if (number == length(parts)) "true" else "false"
        say("\"type\":\"result\",\"data\":{\"text/plain\":", shown, "},\"is_main\":", main)
      }
    }
  }
  fail <- function(name, value) say("\"type\":\"error\",\"name\":", text(name), ",\"value\":", text(value), ",\"traceback\":\"\"")
  answer <- function(line) {
    asked <- read(line)
    count <<- count + 1
    say("\"type\":\"begin\",\"count\":", count)
    if (length(asked$base)) do.call(Sys.setenv, asked$base)
    before <- Sys.getenv(names(asked$env), unset = NA, names = TRUE)
    if (length(asked$env)) do.call(Sys.setenv, asked$env)
    tryCatch(
      run(asked$code$code),
      error = function(error) fail(class(error)[1], conditionMessage(error)),
      interrupt = function(error) fail("Interrupted", "the run was interrupted")
    )
    for (name in names(asked$env)) {
      if (is.na(before[[name]])) Sys.unsetenv(name) else do.call(Sys.setenv, as.list(before[name]))
    }
    say("\"type\":\"done\"")
  }
  repeat {
    line <- tryCatch(readLines(requests, n = 1), interrupt = function(error) NULL)
    if (is.null(line)) next
    if (length(line) == 0) quit("no")
    answer(line)
  }
})
