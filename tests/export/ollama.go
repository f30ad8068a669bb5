// What Ollama makes of a Modelfile, for the tests: reads it by the rules of Ollama's parser, and renders prompts from
// its TEMPLATE and SYSTEM by Go's own text/template, as Ollama does for a template that names no messages.
//
// JSON on the standard input, [{"modelfile": text, "prompts": [text]}], and on the standard output
// [{"commands": [[name, value]], "rendered": [text], "error": text}].
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
)

type modelfileCase struct {
	Modelfile string   `json:"modelfile"`
	Prompts   []string `json:"prompts"`
}

type outcome struct {
	Commands [][2]string `json:"commands"`
	Rendered []string    `json:"rendered"`
	Error    string      `json:"error"`
}

var names = map[string]bool{
	"from": true, "license": true, "template": true, "system": true, "adapter": true, "renderer": true,
	"parser": true, "parameter": true, "message": true, "requires": true,
}

func isBlank(char rune) bool { return char == ' ' || char == '\t' }

func isLineEnd(char rune) bool { return char == '\n' || char == '\r' }

// cutWord splits off what stands before the next blank.
func cutWord(text []rune) (string, []rune, error) {
	for at, char := range text {
		if isBlank(char) {
			return string(text[:at]), text[at+1:], nil
		}
		if isLineEnd(char) {
			break
		}
	}
	return "", nil, fmt.Errorf("no value after %q", string(text))
}

// withoutQuotes gives a value as it is meant, and whether it is complete.
func withoutQuotes(value string) (string, bool) {
	for _, quotes := range []string{`"""`, `"`} {
		if strings.HasPrefix(value, quotes) {
			whole := len(value) >= 2*len(quotes) && strings.HasSuffix(value, quotes)
			return strings.TrimSuffix(strings.TrimPrefix(value, quotes), quotes), whole
		}
	}
	return value, true
}

// cutValue splits off a value: it ends at the first end of a line where its quotes are closed. Invisible characters
// are left out, other than blanks and ends of lines.
func cutValue(text []rune) (string, []rune, error) {
	var kept strings.Builder
	for at, char := range text {
		if isLineEnd(char) {
			if value, whole := withoutQuotes(strings.TrimSpace(kept.String())); whole {
				return value, text[at:], nil
			}
		}
		if isBlank(char) || isLineEnd(char) || strconv.IsPrint(char) {
			kept.WriteRune(char)
		}
	}
	value, whole := withoutQuotes(strings.TrimSpace(kept.String()))
	if !whole {
		return "", nil, fmt.Errorf("quotes are not closed: %s", value)
	}
	return value, nil, nil
}

func readCommands(text []rune) (commands [][2]string, err error) {
	for len(text) > 0 {
		if isBlank(text[0]) || isLineEnd(text[0]) {
			text = text[1:]
			continue
		}
		var name, value string
		if name, text, err = cutWord(text); err != nil {
			return nil, err
		}
		if name = strings.ToLower(name); !names[name] {
			return nil, fmt.Errorf("%q is no command", name)
		}
		if name == "parameter" {
			if name, text, err = cutWord(text); err != nil {
				return nil, err
			}
		}
		if value, text, err = cutValue(text); err != nil {
			return nil, err
		}
		commands = append(commands, [2]string{name, value})
	}
	return commands, nil
}

func render(commands [][2]string, prompts []string) ([]string, error) {
	held := map[string]string{}
	for _, command := range commands {
		held[command[0]] = command[1]
	}
	parsed, err := template.New("").Option("missingkey=zero").Parse(held["template"])
	if err != nil {
		return nil, err
	}
	rendered := []string{}
	for _, prompt := range prompts {
		var text strings.Builder
		values := map[string]any{"System": held["system"], "Prompt": prompt, "Response": ""}
		if err := parsed.Execute(&text, values); err != nil {
			return nil, err
		}
		rendered = append(rendered, text.String())
	}
	return rendered, nil
}

func run(given modelfileCase) (found outcome) {
	var err error
	if found.Commands, err = readCommands([]rune(given.Modelfile)); err == nil {
		found.Rendered, err = render(found.Commands, given.Prompts)
	}
	if err != nil {
		found.Error = err.Error()
	}
	return found
}

func main() {
	var cases []modelfileCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	outcomes := []outcome{}
	for _, given := range cases {
		outcomes = append(outcomes, run(given))
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}
