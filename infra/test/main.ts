// All tests in one process: loading the CDK takes longer than most of them.

import './nag.test';
import './network.test';
import './pipeline.test';
import './snapshot.test';
import './state-machine.test';
import './storage.test';
