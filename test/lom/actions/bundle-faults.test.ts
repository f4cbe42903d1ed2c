import assert from 'node:assert/strict';
import { bundleDirectory } from './bundle-directory.js';
import { BUNDLE, MANIFEST, bundle, prefixed } from './say-bundle.js';

describe('load bundles', () => {
  const { directory, load, faults } = bundleDirectory();

  describe('refuses a bundle.yaml', () => {
    const path =
      'must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."';
    const name = 'must be lower-case words of letters and digits joined by "-", beginning with a letter';
    const cases: [title: string, content: unknown, expected: string[]][] = [
      ['that is missing', undefined, ['bundle.yaml FILE the file does not exist']],
      ['that is empty', '', ['bundle.yaml:1 TYPE the file must be an object']],
      [
        'that is not YAML',
        'a: [',
        [
          'bundle.yaml:1 YAML the file is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
        ],
      ],
      [
        'that lacks everything',
        '# nothing\n{}\n',
        ['module_name', 'module_version', 'module_class', 'description', 'actions'].map(
          (key) => `bundle.yaml:2 REQUIRED ${key} is required`,
        ),
      ],
      [
        'with a misspelt key',
        { ...BUNDLE, modul_class: 'x' },
        ['bundle.yaml:8 UNKNOWN modul_class is not known; did you mean "module_class"?'],
      ],
      [
        'with a bad module name',
        { ...BUNDLE, module_name: 'Test_1' },
        [`bundle.yaml:1 NAME module_name ${name}`],
      ],
      [
        'with a bad version',
        { ...BUNDLE, module_version: '1.0' },
        ['bundle.yaml:2 VERSION module_version must be a version such as 1.2.0 (SemVer 2.0)'],
      ],
      [
        'without actions',
        { ...BUNDLE, actions: [] },
        ['bundle.yaml:6 MIN_ITEMS actions must have at least 1 item'],
      ],
      [
        'with an action twice',
        { ...BUNDLE, actions: ['say', 'say'] },
        ['bundle.yaml:6 UNIQUE_ITEMS actions must not hold the same item twice (0 and 1)'],
      ],
      [
        'whose action leads out of it',
        { ...BUNDLE, actions: ['../say'] },
        [`bundle.yaml:7 NAME actions[0] ${name}`],
      ],
      [
        'whose action has no directory',
        { ...BUNDLE, actions: ['say', 'sing'] },
        ['bundle.yaml:8 FILE actions[1] names sing/manifest.yaml, which does not exist'],
      ],
      [
        'whose library is absolute',
        { ...BUNDLE, library: '/etc/passwd' },
        [`bundle.yaml:5 PATH library ${path}`],
      ],
      [
        'whose library is missing',
        { ...BUNDLE, library: 'lib/none.sh' },
        ['bundle.yaml:5 FILE library names lib/none.sh, which does not exist'],
      ],
      [
        'whose library is a directory',
        { ...BUNDLE, library: 'lib' },
        ['bundle.yaml:5 FILE library names lib, which is not a regular file'],
      ],
    ];
    for (const [title, content, expected] of cases) {
      it(title, async () => {
        await directory.write(bundle({ 'bundle.yaml': content }));
        assert.deepEqual(await faults(), expected);
      });
    }
  });

  it('reports all faults of a bundle together, whatever their kind', async () => {
    const { description: _, ...headless } = BUNDLE;
    await directory.write(
      bundle({
        'bundle.yaml': { ...headless, module_version: '1' },
        'say/manifest.yaml': { ...MANIFEST, version: '1', timeout_ms: 1, mode: 'detached' },
      }),
    );
    assert.deepEqual(
      (await faults()).map((fault) => fault.split(' ').slice(0, 3).join(' ')),
      [
        'bundle.yaml:1 REQUIRED description',
        'bundle.yaml:2 VERSION module_version',
        'say/manifest.yaml:21 MINIMUM timeout_ms',
        'say/manifest.yaml:2 VERSION version',
        'say/manifest.yaml:22 NOT_SUPPORTED mode',
      ],
    );
  });

  it('reports the faults of all bundles together', async () => {
    await directory.write({
      ...prefixed('a', bundle({ 'bundle.yaml': { ...BUNDLE, module_version: '1' } })),
      ...prefixed('b', bundle({ 'say/manifest.yaml': { ...MANIFEST, version: '1' } })),
    });
    assert.deepEqual(
      (await faults('a', 'b', 'c')).map((fault) => fault.split(' ')[0]),
      ['a/bundle.yaml:2', 'b/say/manifest.yaml:2', 'c/bundle.yaml'],
    );
  });

  it('makes one sentence of it for a person', async () => {
    await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, version: '1', action: 'A' } }));
    await assert.rejects(load([directory.path]), {
      message: `The plugin bundle ${directory.path} has 2 faults, the first: ${directory.path}/say/manifest.yaml:1: action must be lower-case words of letters and digits joined by "-", beginning with a letter.`,
    });
  });
});
