package provider

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// snsCertURL is where the certificate of testdata/aws-sns is said to be. Amazon's own validator, sns-validator 0.3.5,
// takes all messages there with it.
const snsCertURL = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"

// snsSetting fetches the certificate from where Amazon has it, and fails the test for all else.
func snsSetting(t testing.TB) *Setting {
	return &Setting{
		Params: map[string]string{"topic": "arn:aws:sns:eu-west-1:1:other arn:aws:sns:us-west-2:123456789012:orders"},
		Fetch: func(url string, post []byte) ([]byte, error) {
			if url != snsCertURL || post != nil {
				t.Errorf("fetches %s", url)
			}
			return testdata(t, "aws-sns/sns.pem"), nil
		},
	}
}

func testdata(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSNSTakesWhatAmazonsValidatorTakes(t *testing.T) {
	for _, name := range []string{"notification-v1.json", "notification-v2.json", "confirmation-v2.json"} {
		if f := awsSNS.Verify(request(t, "POST", "/", string(testdata(t, "aws-sns/"+name))), snsSetting(t)); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestSNSRefusesAnyChangeOfWhatIsSigned(t *testing.T) {
	for name, members := range map[string][]string{
		"notification-v1.json": snsNotification, "notification-v2.json": snsNotification, "confirmation-v2.json": snsSubscription,
	} {
		body := testdata(t, "aws-sns/"+name)
		for _, member := range members {
			value := gjson.GetBytes(body, member).Str
			for i := range len(value) {
				changed := []byte(value)
				changed[i] ^= 1
				altered, err := sjson.SetBytes(bytes.Clone(body), member, string(changed))
				if err != nil {
					t.Fatal(err)
				}
				if f := awsSNS.Verify(request(t, "POST", "/", string(altered)), snsSetting(t)); f == nil {
					t.Errorf("%s: taken with %s %q", name, member, changed)
				}
			}
		}
	}
}

func TestSNSRefuses(t *testing.T) {
	body := string(testdata(t, "aws-sns/notification-v2.json"))
	with := func(member string, value any) string {
		altered, err := sjson.Set(body, member, value)
		if err != nil {
			t.Fatal(err)
		}
		return altered
	}
	noFetch := func(*testing.T) *Setting {
		s := snsSetting(t)
		s.Fetch = func(string, []byte) ([]byte, error) { return nil, errors.New("no route") }
		return s
	}
	notAsked := func(t *testing.T) *Setting {
		s := snsSetting(t)
		s.Fetch = func(url string, _ []byte) ([]byte, error) { t.Errorf("fetches %s", url); return nil, errors.New("no") }
		return s
	}
	for _, c := range []struct {
		says    string
		body    string
		setting func(*testing.T) *Setting
		kind    FailureKind
	}{
		{"a certificate elsewhere", with("SigningCertURL", "https://evil.example.com/SimpleNotificationService-1.pem"), notAsked, Form},
		{"a host that ends like Amazon's", with("SigningCertURL", "https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-1.pem"), notAsked, Form},
		{"a user in the URL", with("SigningCertURL", "https://sns.us-west-2.amazonaws.com@evil.example/SimpleNotificationService-1.pem"), notAsked, Form},
		{"a bucket at Amazon", with("SigningCertURL", "https://bucket.s3.amazonaws.com/SimpleNotificationService-1.pem"), notAsked, Form},
		{"a port", with("SigningCertURL", "https://sns.us-west-2.amazonaws.com:8443/SimpleNotificationService-1.pem"), notAsked, Form},
		{"plain HTTP", with("SigningCertURL", strings.Replace(snsCertURL, "https", "http", 1)), notAsked, Form},
		{"another path", with("SigningCertURL", "https://sns.us-west-2.amazonaws.com/?x=/SimpleNotificationService-1.pem"), notAsked, Form},
		{"no certificate to be had", body, noFetch, Unavailable},
		{"nothing can be fetched", body, func(t *testing.T) *Setting { return &Setting{Params: snsSetting(t).Params} }, Unavailable},
		{"no topic is configured", body, func(t *testing.T) *Setting { return &Setting{Fetch: snsSetting(t).Fetch} }, Unavailable},
		{"another topic", body, func(t *testing.T) *Setting {
			s := notAsked(t)
			s.Params = map[string]string{"topic": "arn:aws:sns:us-west-2:123456789012:others"}
			return s
		}, Mismatch},
		{"another version", with("SignatureVersion", "3"), notAsked, Form},
		{"the other version", with("SignatureVersion", "1"), func(t *testing.T) *Setting { return snsSetting(t) }, Mismatch},
		{"no signature", with("Signature", ""), notAsked, Form},
		{"another type", with("Type", "Other"), notAsked, Form},
		{"a message that is no text", with("Message", 1), notAsked, Missing},
		{"a message that comes twice", strings.Replace(body, `"Message":`, `"Message":"evil","Message":`, 1), notAsked, Form},
		{"no JSON", "x", notAsked, Form},
	} {
		t.Run(c.says, func(t *testing.T) {
			if f := awsSNS.Verify(request(t, "POST", "/", c.body), c.setting(t)); f == nil || f.Kind != c.kind {
				t.Errorf("%v", f)
			}
		})
	}
	raw := request(t, "POST", "/", "text", "x-amz-sns-rawdelivery", "true")
	if f := awsSNS.Verify(raw, notAsked(t)); f == nil || f.Reason != "raw message delivery is not signed" {
		t.Errorf("raw message delivery: %v", f)
	}
}

func TestSNSSubscriptionsAreConfirmedAtAmazonOnly(t *testing.T) {
	body := testdata(t, "aws-sns/confirmation-v2.json")
	reply := awsSNS.Handshake(request(t, "POST", "/", string(body)), new(Setting))
	if reply == nil || reply.Open || reply.Status != 200 || reply.Fetch != gjson.GetBytes(body, "SubscribeURL").Str {
		t.Errorf("%+v", reply)
	}
	altered, err := sjson.SetBytes(body, "SubscribeURL", "https://evil.example.com/?Action=ConfirmSubscription")
	if err != nil {
		t.Fatal(err)
	}
	if reply := awsSNS.Handshake(request(t, "POST", "/", string(altered)), new(Setting)); reply == nil || reply.Fetch != "" || reply.Status != 400 {
		t.Errorf("elsewhere: %+v", reply)
	}
	if reply := awsSNS.Handshake(request(t, "POST", "/", string(testdata(t, "aws-sns/notification-v2.json"))), new(Setting)); reply != nil {
		t.Errorf("a notification: %+v", reply)
	}
}
