package config

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesOfWhatIsMaskedAreRead(t *testing.T) {
	cfg, err := load(t, `mask = ["phone", "X-Customer-Id", "телефон"]`)
	if err != nil || !slices.Equal(cfg.Mask, []string{"phone", "X-Customer-Id", "телефон"}) {
		t.Errorf("%v, %v", cfg, err)
	}
	for _, wrong := range []string{`"phone"`, `["customer.phone"]`, `["customer[phone]"]`, `["a b"]`, `["-"]`, `[""]`, `[1]`, `["` + strings.Repeat("a", maxMaskName+1) + `"]`} {
		if _, err := load(t, "mask = "+wrong); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestProblemsDoNotShowSecretsOfTheFile(t *testing.T) {
	for text, want := range map[string]string{
		`secrets = ["abc", file("key")]`:                    `secrets = ["***", file("key")]`,
		"secrets = [\n \"abc\",\n \"d\"\n]\npath = \"/in\"": "secrets = [\n \"***\",\n \"*\"\n]\npath = \"/in\"",
		`headers = { "X-Api-Key" = "abc", Accept = "b" }`:   `headers = { "X-Api-Key" = "***", Accept = "b" }`,
		`params = { secret: "ab${env("X")}", id: "b" }`:     `params = { secret: "**${env("X")}", id: "b" }`,
		"token = <<E\nabc\nE\npath = \"/in\"":               "token = <<E\n***\nE\npath = \"/in\"",
		`url = "http://u:p/%w@h/y" at = "ops@a.test"`:       `url = "http://u:****@h/y" at = "ops@a.test"`,
		`secrets = ["abc`:                    `secrets = ["***`,
		`source "token" { path = "/token" }`: `source "token" { path = "/token" }`,
	} {
		if got := string(withoutSecrets([]byte(text))); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
